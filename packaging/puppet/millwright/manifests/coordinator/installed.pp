# @summary Package, configuration, policy, key and service of the coordinator.
#
# @api private
class millwright::coordinator::installed {
  include millwright
  include millwright::cli

  $dir = $millwright::config_dir
  $bin = $millwright::bin_dir
  $user = $millwright::coordinator::user
  $group = $millwright::coordinator::group
  $file = "${dir}/coordinator.toml"
  $policy = "${dir}/policy.toml"
  $key = "${dir}/key.pem"

  $wanted = $millwright::coordinator::version ? {
    undef   => $millwright::version,
    default => $millwright::coordinator::version,
  }

  $certname = $trusted['certname']
  $ssl = $millwright::coordinator::puppet_ssl
  # Debian's own Puppet lets nobody else into its folder, so the coordinator gets copies of the rest as well.
  $is_closed = $ssl =~ /\A\/var\/lib\/puppet\//
  $copies = $is_closed ? {
    true    => { 'certificate' => "${dir}/certificate.pem", 'ca' => "${dir}/ca.pem", 'crl' => "${dir}/crl.pem" },
    default => {},
  }
  $trust = $millwright::coordinator::tls ? {
    true    => {
      'listen' => { 'agents' => '0.0.0.0:8482' },
      'tls'    => {
        'certname'   => $certname,
        'puppet_ssl' => $ssl,
        'key'        => $key,
        'crl_url'    => $millwright::coordinator::crl_url,
      } + $copies,
    },
    default => {},
  }
  $settings = millwright::merged({ 'policy' => $policy } + $trust, $millwright::coordinator::settings)

  if $millwright::manage_package {
    package { $millwright::coordinator::package:
      ensure => $wanted,
      # A new version restarts the service by itself, if it can read the configuration.
      before => File[$file],
    }
  }

  if $millwright::coordinator::tls {
    # A renewed key is taken over without a restart.
    file { $key:
      ensure    => file,
      owner     => 'root',
      group     => $group,
      mode      => '0640',
      source    => "${ssl}/private_keys/${certname}.pem",
      show_diff => false,
      backup    => false,
      before    => File[$file],
    }
  }

  if $millwright::coordinator::tls and $is_closed {
    file {
      default:
        ensure => file,
        owner  => 'root',
        group  => 'root',
        mode   => '0644',
        before => File[$file],
        ;
      $copies['certificate']:
        source => "${ssl}/certs/${certname}.pem",
        ;
      $copies['ca']:
        source => "${ssl}/certs/ca.pem",
        ;
      # With crl_url it is there for the first start; later the newer of both holds.
      $copies['crl']:
        source => "${ssl}/crl.pem",
        ;
    }
  }

  if $millwright::coordinator::policy_source or $millwright::coordinator::policy_content {
    # A changed policy is read within seconds, without a restart.
    file { $policy:
      ensure       => file,
      owner        => 'root',
      group        => $group,
      mode         => '0644',
      source       => $millwright::coordinator::policy_source,
      content      => $millwright::coordinator::policy_content,
      validate_cmd => "'${bin}/millwright' policy check '%'",
      require      => Class['millwright::cli'],
      # Its check looks at the policy as well.
      before       => File[$file],
    }
  }

  file { $file:
    ensure       => file,
    owner        => 'root',
    group        => $group,
    mode         => '0640',
    content      => epp('millwright/coordinator.toml.epp', { 'settings' => $settings }),
    # It may hold the address of a chat.
    show_diff    => false,
    # As the service would read it: what root may read, the coordinator may not.
    validate_cmd => "chgrp '${group}' '%' && runuser -u '${user}' -- '${bin}/millwright-coordinator' --config '%' --check-config",
  }

  if $millwright::manage_service {
    service { 'millwright-coordinator':
      ensure    => $millwright::coordinator::service_ensure,
      enable    => $millwright::coordinator::service_enable,
      subscribe => File[$file],
    }
  }
}
