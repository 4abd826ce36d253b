# @summary The command line for operators, `millwright`.
#
# @example
#   include millwright::cli
#
# @param package
#   The name of the package.
# @param version
#   'present', 'latest', 'absent' or a version. Without it `millwright::version`.
class millwright::cli (
  String[1] $package,
  Optional[String[1]] $version,
) {
  include millwright

  $wanted = $version ? {
    undef   => $millwright::version,
    default => $version,
  }

  if $millwright::manage_package {
    package { $package:
      ensure => $wanted,
    }
  }
}
