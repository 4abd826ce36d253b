# @summary The coordinator is taken away; what people wrote and what happened stay.
#
# @api private
class millwright::coordinator::removed {
  include millwright

  $dir = $millwright::config_dir
  $file = "${dir}/coordinator.toml"

  if $millwright::manage_package {
    # Stops the service, too.
    package { $millwright::coordinator::package:
      ensure => absent,
      before => File[$file],
    }
  }
  file { [$file, "${dir}/key.pem", "${dir}/certificate.pem", "${dir}/ca.pem", "${dir}/crl.pem"]:
    ensure => absent,
  }
}
