"""launch.py MODULE:FUNCTION ARGUMENT... - runs a console entry point whose Debian script is not installed.

Nova finds our hypervisor beside its own.
"""
import importlib
import os
import sys

place = sys.argv[1]
module, function = place.split(':')
sys.argv = [os.environ.get('LAB_PROGRAM', module)] + sys.argv[2:]
entry = importlib.import_module(module)
if module.startswith('nova.'):
    import nova.virt
    nova.virt.__path__.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'hypervisor'))
sys.exit(getattr(entry, function)())
