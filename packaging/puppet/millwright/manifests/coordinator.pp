# @summary The coordinator: knows the fleet and says what may be done with which node. On one host.
#
# The class can be included everywhere; it does something on the named host alone. It writes below /etc/millwright only.
# A configuration or policy that the programs refuse does not replace the old one, and the running coordinator goes on.
#
# @example In site.pp, with `millwright::coordinator::host: 'NAME'` in hiera
#   include millwright::coordinator
#
# @param host
#   The one host: its Puppet certname, its full name, or its name without a domain.
# @param ensure
#   'absent' removes the package and coordinator.toml; policy and state stay.
# @param version
#   'present', 'latest' or a version. Without it `millwright::version`.
# @param package
#   The name of the package.
# @param service_ensure
#   Whether it runs.
# @param service_enable
#   Whether it starts with the machine.
# @param user
#   Whom the service runs as; the package makes this user.
# @param group
#   Who may read coordinator.toml and the key.
# @param policy_source
#   Where policy.toml is copied from. 'puppet:///modules/millwright/policy.alice.toml' is the worked example.
# @param policy_content
#   The text of policy.toml, instead of a source. With neither, somebody else writes the file.
# @param tls
#   Whether agents of other hosts may report: with the certificates that Puppet has given every host.
# @param puppet_ssl
#   Puppet's folder on this host. The service is not root, so the key of this host is copied to /etc/millwright/key.pem.
# @param crl_url
#   Where the coordinator fetches the list of revoked certificates from, for Puppets that never fetch it again by
#   themselves: 'https://PUPPET:8140/puppet-ca/v1/certificate_revocation_list/ca'. Without it Puppet's own file is all it has.
# @param settings
#   Any key of coordinator.toml, as tables: `{ 'mesos' => { 'masters' => ['http://alimesos01.cern.ch:5050'] } }`.
#   They win over what this class sets. Several levels of hiera add up.
class millwright::coordinator (
  String[1] $host,
  Enum['present', 'absent'] $ensure,
  Optional[String[1]] $version,
  String[1] $package,
  Enum['running', 'stopped'] $service_ensure,
  Boolean $service_enable,
  Millwright::Name $user,
  Millwright::Name $group,
  Optional[String[1]] $policy_source,
  Optional[String[1]] $policy_content,
  Boolean $tls,
  Millwright::Path $puppet_ssl,
  Optional[Pattern[/\Ahttps:\/\/\S+\z/]] $crl_url,
  Millwright::Settings $settings,
) {
  $fqdn = $facts['networking']['fqdn']
  # Puppet compares text without regard to case, as names are meant.
  $is_here = $host in [$trusted['certname'], $fqdn, $facts['networking']['hostname']]

  if $policy_source and $policy_content {
    fail('millwright::coordinator: give policy_source or policy_content, not both')
  }

  if !$is_here {
    # A message of the compiler: a resource would count as a change in every run.
    notice("millwright::coordinator does nothing on ${fqdn}: the coordinator is ${host}")
  } elsif $ensure == 'present' {
    contain millwright::coordinator::installed
  } else {
    contain millwright::coordinator::removed
  }
}
