#!/bin/bash
# Writes how each service of the lab is configured, into $LAB/etc. Everything listens on loopback, on its usual port.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
lab=${LAB:?}
etc=$lab/etc state=$lab/state run=$lab/run
keystone=http://127.0.0.1:5000/v3
mkdir -p "$etc" "$state"/{lock,keystone,nova,neutron,rabbit,cinder/coordination,glance/{images,staging,tasks}}

database() { echo "mysql+pymysql://lab:lab@localhost/$1?unix_socket=$run/mysql.sock&charset=utf8"; }

account() {
    cat <<END
auth_type = password
auth_url = $keystone
www_authenticate_uri = $keystone
username = svc
password = lab-svc
project_name = service
user_domain_name = Default
project_domain_name = Default
region_name = cern
END
}

# What every service that has an API and talks to others has in common.
common() {
    cat <<END
[keystone_authtoken]
$(account)
service_token_roles = service
service_token_roles_required = true
# As short as a story can wait for.
token_cache_time = 5
[service_user]
send_service_user_token = true
$(account)
[oslo_messaging_rabbit]
heartbeat_in_pthread = false
kombu_reconnect_delay = 0.2
[oslo_messaging_notifications]
driver = noop
[oslo_concurrency]
lock_path = $state/lock
END
}

queue="transport_url = rabbit://guest:guest@127.0.0.1:5673/
use_stderr = true"

cat >"$etc/mariadb.cnf" <<END
[mariadbd]
datadir=$state/mysql
socket=$run/mysql.sock
pid-file=$run/mariadbd.own.pid
user=root
skip-networking
skip-name-resolve
skip-log-bin
performance_schema=off
innodb_buffer_pool_size=128M
innodb_log_file_size=32M
# Nothing here is worth a flush.
innodb_flush_log_at_trx_commit=0
innodb_doublewrite=0
max_connections=400
character-set-server=utf8mb3
collation-server=utf8mb3_general_ci
END

cat >"$etc/rabbitmq.conf" <<END
listeners.tcp.1 = 127.0.0.1:5673
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 200MB
END
echo '[].' >"$etc/rabbitmq.plugins"

cat >"$etc/keystone.conf" <<END
[DEFAULT]
use_stderr = true
public_endpoint = http://127.0.0.1:5000/
[database]
connection = $(database keystone)
[token]
provider = fernet
# Shorter than a story, so that tokens end in the middle of it.
expiration = ${TOKEN_SECONDS:-60}
[fernet_tokens]
key_repository = $state/keystone/fernet-keys
[fernet_receipts]
key_repository = $state/keystone/fernet-keys
[credential]
key_repository = $state/keystone/credential-keys
[identity]
password_hash_rounds = 4
# Without a cache each validation is hundreds of statements; within one process a dictionary is coherent.
[cache]
enabled = true
backend = oslo_cache.dict
expiration_time = 600
END

cat >"$etc/placement.conf" <<END
[DEFAULT]
use_stderr = true
[placement_database]
connection = $(database placement)
[api]
auth_strategy = keystone
[keystone_authtoken]
$(account)
END

cat >"$etc/glance.conf" <<END
[DEFAULT]
use_stderr = true
bind_host = 127.0.0.1
bind_port = 9292
workers = 0
enabled_backends = file:file
[database]
connection = $(database glance)
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = $state/glance/images
[os_glance_staging_store]
filesystem_store_datadir = $state/glance/staging
[os_glance_tasks_store]
filesystem_store_datadir = $state/glance/tasks
[task]
work_dir = $state/glance/tasks
[paste_deploy]
flavor = keystone
config_file = $lab/paste/glance-common.ini
$(common)
END

cat >"$etc/neutron.conf" <<END
[DEFAULT]
$queue
state_path = $state/neutron
bind_host = 127.0.0.1
bind_port = 9696
api_workers = 0
rpc_workers = 1
rpc_state_report_workers = 0
auth_strategy = keystone
core_plugin = ml2
service_plugins =
api_paste_config = $lab/paste/neutron-common.ini
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
dhcp_agent_notification = false
[database]
connection = $(database neutron)
[ml2]
type_drivers = local
tenant_network_types = local
mechanism_drivers = lab
extension_drivers =
[securitygroup]
enable_security_group = true
$(common)
END

cat >"$etc/cinder.conf" <<END
[DEFAULT]
$queue
my_ip = 127.0.0.1
host = lab
state_path = $state/cinder
auth_strategy = keystone
api_paste_config = $lab/paste/cinder-common.ini
osapi_volume_listen = 127.0.0.1
osapi_volume_listen_port = 8776
osapi_volume_workers = 1
enabled_backends = fake
default_volume_type = standard
resource_query_filters_file = $lab/paste/resource_filters.json
glance_api_servers = http://127.0.0.1:9292
[database]
connection = $(database cinder)
[coordination]
backend_url = file://$state/cinder/coordination
[fake]
volume_driver = cinder.tests.fake_driver.FakeLoggingVolumeDriver
volume_backend_name = fake
$(common)
END

nova() {
    cat <<END
[DEFAULT]
$queue
my_ip = 127.0.0.1
state_path = $state/nova
instances_path = $state/nova/instances
osapi_compute_listen = 127.0.0.1
osapi_compute_listen_port = 8774
osapi_compute_workers = 1
compute_driver = lab_driver.LabDriver
reserved_host_memory_mb = 0
heal_instance_info_cache_interval = -1
sync_power_state_interval = -1
$1
[wsgi]
api_paste_config = $lab/paste/nova-common.ini
[api]
auth_strategy = keystone
[conductor]
workers = 1
[scheduler]
workers = 1
[quota]
cores = -1
ram = -1
[vnc]
enabled = false
[glance]
api_servers = http://127.0.0.1:9292
[placement]
$(account)
[neutron]
$(account)
default_floating_pool = none
[cinder]
$(account)
os_region_name = cern
$(common)
END
}
nova "[api_database]
connection = $(database nova_api)
[database]
connection = $(database nova)" >"$etc/nova.conf"
# A compute that names a database refuses to start: it goes through the conductor.
for zone in a b c; do nova "host = compute-$zone" >"$etc/compute-$zone.conf"; done

# Neutron finds our mechanism driver as it finds its own: by the entry points of an installed package.
info=$lab/python/lab_mechanism-1.0.dist-info
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: lab-mechanism\nVersion: 1.0\n' >"$info/METADATA"
printf '[neutron.ml2.mechanism_drivers]\nlab = lab_mechanism:LabMechanism\n' >"$info/entry_points.txt"
cp -r "$here/python/." "$lab/python/"
