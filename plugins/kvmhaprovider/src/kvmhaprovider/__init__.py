"""HA provider `kvmhaprovider`: how KVM hosts are judged and fenced."""
