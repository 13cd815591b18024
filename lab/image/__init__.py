"""The guests' Debian image and the booted machine that instances are cloned from.

    packages.txt, guest/, customize.sh ──mmdebstrap, mkfs.ext4──▶ images/<digest>/{root.raw,vmlinuz,initrd}
                                          one boot, state saved ──▶ images/<digest>/<host>/{disk.qcow2,ram,state}

Both are made once per cache directory and shared by all labs; nothing writes to them afterwards.
"""

from lab.image.ensure import ensure_image
from lab.image.files import Image

__all__ = ["Image", "ensure_image"]
