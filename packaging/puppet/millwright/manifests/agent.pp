# @summary The agent: checks this node and reports to the coordinator. For every node.
#
# It writes below /etc/millwright only. A configuration that the agent itself refuses does not replace the old one, and the
# running agent goes on. A restart of the agent is a gap of a second in its reports; tasks and containers do not notice.
#
# @example In the manifest of a host group, with `millwright::agent::coordinator: 'NAME'` in its hiera
#   include millwright::agent
#
# @param ensure
#   'absent' removes the package and the configuration; state stays.
# @param version
#   'present', 'latest' or a version. Without it `millwright::version`.
# @param package
#   The name of the package.
# @param service_ensure
#   Whether it runs.
# @param service_enable
#   Whether it starts with the machine.
# @param coordinator
#   Whom it reports to: the name under which Puppet knows that host, or a whole URL. Without it, it reports to nobody.
# @param cluster
#   The UUID of the coordinator's cluster, as its /healthz says; an answer of another one does not count. Without it the
#   coordinator is known by its name alone.
# @param node_class
#   What kind of node this is; decides what is required of it. Without it 'agent'.
# @param settings
#   Any other key of agent.toml, as tables: `{ 'checks' => { 'mounts' => { 'paths' => ['/cvmfs/alice.cern.ch'] } } }`.
#   They win over the parameters above. Several levels of hiera add up.
class millwright::agent (
  Enum['present', 'absent'] $ensure,
  Optional[String[1]] $version,
  String[1] $package,
  Enum['running', 'stopped'] $service_ensure,
  Boolean $service_enable,
  Optional[Pattern[/\A(https?:\/\/|unix:\/)\S+\z/, /\A[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\z/]] $coordinator,
  Optional[Pattern[/\A\h{8}-\h{4}-\h{4}-\h{4}-\h{12}\z/]] $cluster,
  Optional[Enum['master', 'agent', 'agent-no-volume', 'dedicated']] $node_class,
  Millwright::Settings $settings,
) {
  include millwright

  $file = "${millwright::config_dir}/agent.toml"
  $program = "${millwright::bin_dir}/millwright-agent"

  $wanted = $version ? {
    undef   => $millwright::version,
    default => $version,
  }
  $url = $coordinator ? {
    undef   => undef,
    /:\//   => $coordinator,
    default => "https://${coordinator}:8482",
  }
  $basics = {
    'node'        => { 'class' => $node_class },
    'coordinator' => { 'url' => $url, 'cluster' => $cluster },
  }

  if $ensure == 'present' {
    if $millwright::manage_package {
      package { $package:
        ensure => $wanted,
        # A new version restarts the service by itself, if it can read the configuration.
        before => File[$file],
      }
    }

    file { $file:
      ensure       => file,
      owner        => 'root',
      group        => 'root',
      mode         => '0644',
      content      => epp('millwright/agent.toml.epp', { 'settings' => millwright::merged($basics, $settings) }),
      validate_cmd => "'${program}' --config '%' --check-config",
    }

    if $millwright::manage_service {
      service { 'millwright-agent':
        ensure    => $service_ensure,
        enable    => $service_enable,
        subscribe => File[$file],
      }
    }
  } else {
    if $millwright::manage_package {
      # Stops the service, too.
      package { $package:
        ensure => absent,
        before => File[$file],
      }
    }
    file { $file:
      ensure => absent,
    }
  }
}
