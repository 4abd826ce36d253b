# @summary What agent, coordinator and command line share. The other classes include it.
#
# @param version
#   The version of all packages: 'present', 'latest' or a version. Each class can have its own.
# @param manage_package
#   Whether packages are installed. When false, somebody else does.
# @param manage_service
#   Whether services are enabled, started and restarted.
# @param config_dir
#   The folder of the configuration. Other values than the default are for tests: the services read the default.
# @param bin_dir
#   Where the programs are that judge a configuration before it replaces the old one.
class millwright (
  String[1] $version,
  Boolean $manage_package,
  Boolean $manage_service,
  Millwright::Path $config_dir,
  Millwright::Path $bin_dir,
) {
  file { $config_dir:
    ensure => directory,
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
  }
}
