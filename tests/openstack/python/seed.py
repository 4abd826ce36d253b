"""seed.py accounts|wait|objects - the lab's accounts, its readiness, and the servers of the stories, made anew."""
import io
import json
import os
import sys
import time

import openstack
import yaml

LAB = os.environ['LAB']
KEYSTONE = 'http://127.0.0.1:5000/v3'
PROJECT = 'ALICE CI'
SERVERS = {'localhost': 'a', 'alibuild03': 'b', 'alibuild10': 'c'}
SERVICES = {
    'compute': ('nova', 'http://127.0.0.1:8774/v2.1'),
    'placement': ('placement', 'http://127.0.0.1:8778'),
    'image': ('glance', 'http://127.0.0.1:9292'),
    'volumev3': ('cinderv3', 'http://127.0.0.1:8776/v3/$(project_id)s'),
    'network': ('neutron', 'http://127.0.0.1:9696'),
}


def come(user, password, project):
    return openstack.connect(
        auth_url=KEYSTONE, username=user, password=password, project_name=project, user_domain_name='Default',
        project_domain_name='Default', region_name='cern', identity_api_version='3', load_yaml_config=False,
        load_envvars=False)


def until(what, look, seconds=120):
    """Asks until it is so; what goes wrong meanwhile is told at the end."""
    end, last = time.time() + seconds, None
    while time.time() < end:
        try:
            found = look()
            if found:
                return found
        except Exception as error:
            last = error
        time.sleep(0.3)
    sys.exit('%s: not within %d s: %r' % (what, seconds, last))


def accounts():
    admin = come('admin', 'lab-admin', 'admin')
    identity = admin.identity
    roles = {role.name: role for role in identity.roles()}
    if 'service' not in roles:
        roles['service'] = identity.create_role(name='service')
    projects = {}
    for name in ('service', PROJECT):
        projects[name] = admin.get_project(name) or admin.create_project(name, domain_id='default')
    for name, password, project, granted in (
            ('svc', 'lab-svc', 'service', ('admin', 'service')),
            ('alibuild', 'lab-alibuild', PROJECT, ('member', 'reader'))):
        user = identity.find_user(name) or identity.create_user(name=name, password=password, domain_id='default')
        for role in granted:
            identity.assign_project_role_to_user(projects[project], user, roles[role])
    identity.assign_project_role_to_user(projects[PROJECT], identity.find_user('admin'), roles['admin'])
    known = {service.type: service for service in identity.services()}
    for kind, (name, url) in SERVICES.items():
        if kind in known:
            continue
        service = identity.create_service(name=name, type=kind)
        for interface in ('public', 'internal', 'admin'):
            identity.create_endpoint(service_id=service.id, interface=interface, region_id='cern', url=url)


def wait():
    admin = come('admin', 'lab-admin', 'admin')
    computes = {'compute-%s' % zone for zone in 'abc'}

    def is_up():
        nova = [s for s in admin.compute.get('/os-services').json()['services'] if s['state'] == 'up']
        cinder = {s['binary'] for s in admin.block_storage.get('/os-services').json()['services'] if s['state'] == 'up'}
        # Asked for ports first, this Neutron answers 500.
        for path in ('/networks?limit=1', '/ports?limit=1'):
            admin.network.get(path).raise_for_status()
        providers = {p['name'] for p in admin.placement.get('/resource_providers').json()['resource_providers']}
        return (computes <= {s['host'] for s in nova if s['binary'] == 'nova-compute'} and computes <= providers
                and {'nova-conductor', 'nova-scheduler'} <= {s['binary'] for s in nova}
                and {'cinder-volume', 'cinder-scheduler'} <= cinder)
    until('Nova and Cinder', is_up)


def shared(admin):
    """What belongs to nobody in particular: flavors, zones, a volume type, images, a network."""
    compute = admin.compute
    for name, ram, vcpus, disk in (('m2.small', 1875, 1, 10), ('m2.2xlarge', 14880, 8, 80)):
        compute.find_flavor(name) or compute.create_flavor(name=name, ram=ram, vcpus=vcpus, disk=disk)
    groups = {group.name: group for group in compute.aggregates()}
    for letter in 'abc':
        zone, host = 'cern-geneva-%s' % letter, 'compute-%s' % letter
        group = groups.get(zone) or compute.create_aggregate(name=zone, availability_zone=zone)
        if host not in (group.hosts or []):
            compute.add_host_to_aggregate(group, host)
    if 'standard' not in {kind.name for kind in admin.block_storage.types()}:
        admin.block_storage.create_type(name='standard', extra_specs={'volume_backend_name': 'fake'})
    for name, fill in (('ALMA9 - x86_64', b'\0'), ('ALMA9 - x86_64 (new)', b'\1')):
        if not admin.image.find_image(name):
            admin.image.create_image(name=name, disk_format='raw', container_format='bare', visibility='public',
                                     data=io.BytesIO(fill * 1048576), allow_duplicates=True)
    network = admin.network.find_network('LAB') or admin.network.create_network(name='LAB', is_shared=True)
    if not list(admin.network.subnets(network_id=network.id)):
        admin.network.create_subnet(network_id=network.id, name='lab', ip_version=4, cidr='192.0.2.0/24',
                                    enable_dhcp=False, gateway_ip=None)
    return network


def clean(ours, above):
    """Away with what earlier stories left; only an administrator passes a lock."""
    for server in ours.compute.servers(details=False):
        above.compute.delete_server(server.id)
    until('the old servers to go', lambda: not list(ours.compute.servers(details=False)))
    for volume in ours.block_storage.volumes():
        until('a volume to be free', lambda: ours.block_storage.get_volume(volume.id).status in ('available', 'error'))
        ours.block_storage.delete_volume(volume.id)
    until('the old volumes to go', lambda: not list(ours.block_storage.volumes()))


def objects():
    with open(os.path.join(LAB, 'state', 'behaviour.json'), 'w') as file:
        file.write('{"delay": {}, "fail": {}}\n')
    network = shared(come('admin', 'lab-admin', 'admin'))
    ours = come('alibuild', 'lab-alibuild', PROJECT)
    clean(ours, come('admin', 'lab-admin', PROJECT))
    image, flavor = ours.image.find_image('ALMA9 - x86_64'), ours.compute.find_flavor('m2.2xlarge')
    made = {name: ours.compute.create_server(
        name=name, image_id=image.id, flavor_id=flavor.id, availability_zone='cern-geneva-%s' % zone,
        networks=[{'uuid': network.id}]) for name, zone in SERVERS.items()}
    for name, server in made.items():
        until(name, lambda: ours.compute.get_server(server.id).status == 'ACTIVE')
    volume = ours.block_storage.create_volume(name='alibuild03-data', size=1)
    until('the volume', lambda: ours.block_storage.get_volume(volume.id).status == 'available')
    ours.compute.create_volume_attachment(made['alibuild03'], volume_id=volume.id)
    until('the volume', lambda: ours.block_storage.get_volume(volume.id).status == 'in-use')
    secret = os.path.join(LAB, 'state', 'appcred.json')
    if not os.path.exists(secret):
        credential = ours.identity.create_application_credential(
            ours.current_user_id, 'lab-%d' % time.time(), roles=[{'name': 'member'}])
        with open(secret, 'w') as file:
            json.dump({'id': credential.id, 'secret': credential.secret}, file)
    with open(os.path.join(LAB, 'clouds.yaml'), 'w') as file:
        yaml.safe_dump({'clouds': {'lab': {'region_name': 'cern', 'interface': 'public', 'identity_api_version': 3, 'auth': {
            'auth_url': KEYSTONE, 'username': 'alibuild', 'password': 'lab-alibuild', 'project_name': PROJECT,
            'user_domain_name': 'Default', 'project_domain_name': 'Default'}}}}, file, sort_keys=False)


{'accounts': accounts, 'wait': wait, 'objects': objects}[sys.argv[1]]()
