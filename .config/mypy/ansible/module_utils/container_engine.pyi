# Ansible loads plugins/module_utils under this name.
from plugins.module_utils.container_engine import *  # noqa: F403
