"""Nova's fake hypervisor with delays and failures, read at each call from $LAB/state/behaviour.json:

    {"delay": {"spawn": 3, "reboot": 2}, "fail": {"alibuild10": ["reboot"], "*": ["destroy"]}}
"""
import json
import os
import time

from nova import context as nova_context
from nova import exception
from nova import objects
from nova.virt import fake

BEHAVIOUR = os.path.join(os.environ['LAB'], 'state', 'behaviour.json')
REMEMBERED = ('active', 'stopped', 'paused', 'suspended', 'error')


def behave(act, instance):
    try:
        with open(BEHAVIOUR) as file:
            told = json.load(file)
    except (OSError, ValueError):
        return
    time.sleep(told.get('delay', {}).get(act, 0))
    for who in ('*', instance.display_name):
        if act in told.get('fail', {}).get(who, []):
            raise exception.NovaException('lab: %s of %s fails as told' % (act, instance.display_name))


class LabDriver(fake.FakeDriver):
    # Builds are wide; the host is as large as any.
    memory_mb = 8000000

    def init_host(self, host):
        """Guests outlive a restart, as they do under a real hypervisor."""
        super().init_host(host)
        admin = nova_context.get_admin_context()
        for known in objects.InstanceList.get_by_host(admin, host, expected_attrs=['flavor']):
            if known.vm_state not in REMEMBERED or not known.launched_at:
                continue
            state = 1 if known.vm_state == 'active' or known.power_state == 1 else 4
            self.instances[known.uuid] = fake.FakeInstance(known.name, state, known.uuid)
            self.resources.claim(vcpus=known.flavor.vcpus, mem=known.flavor.memory_mb, disk=known.flavor.root_gb)

    def spawn(self, context, instance, *rest, **named):
        behave('spawn', instance)
        return super().spawn(context, instance, *rest, **named)

    def reboot(self, context, instance, *rest, **named):
        behave('reboot', instance)
        return super().reboot(context, instance, *rest, **named)

    def destroy(self, context, instance, *rest, **named):
        behave('destroy', instance)
        return super().destroy(context, instance, *rest, **named)

    def power_off(self, instance, *rest, **named):
        behave('power_off', instance)
        # A guest that is not there is off; the fake would raise, and a rebuild after a failed one would never end.
        if instance.uuid in self.instances:
            super().power_off(instance, *rest, **named)
