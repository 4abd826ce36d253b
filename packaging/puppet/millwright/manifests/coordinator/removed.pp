# @summary The coordinator is taken away; what people wrote and what happened stay.
#
# @api private
class millwright::coordinator::removed {
  include millwright

  $file = "${millwright::config_dir}/coordinator.toml"

  if $millwright::manage_package {
    # Stops the service, too.
    package { $millwright::coordinator::package:
      ensure => absent,
      before => File[$file],
    }
  }
  file { [$file, "${millwright::config_dir}/key.pem"]:
    ensure => absent,
  }
}
