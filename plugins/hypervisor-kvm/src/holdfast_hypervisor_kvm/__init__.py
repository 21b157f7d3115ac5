"""Hypervisor driver `kvm`: QEMU guests of one host, through its libvirtd."""
