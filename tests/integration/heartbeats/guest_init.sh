#!/bin/sh
# Init of the guest that shows the kernel's own paths. Arguments come on the kernel's command line as holdfast.NAME=VALUE.
export PATH=/usr/bin:/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs run /run
for word in $(cat /proc/cmdline); do
    case $word in holdfast.*) name=${word%%=*}; eval "${name#holdfast.}=\${word#*=}" ;; esac
done
for module in $(cat /modules/order); do insmod "/modules/$module" || echo "GUEST no module $module"; done
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
mkdir -p /mnt/pool /etc/iscsi
python3 -c "
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
options = 'vers=3,proto=tcp,mountproto=tcp,nolock,hard,addr=$nfs,mountaddr=$nfs,mountport=20048,port=2049'
done = libc.mount(b'$nfs:$share', b'/mnt/pool', b'nfs', 0, options.encode())
print('GUEST mounted' if done == 0 else f'GUEST no mount: errno {ctypes.get_errno()}', flush=True)
"
iscsistart -i iqn.2025-01.test.holdfast:guest -t "$target" -g 1 -a "$iscsi" -p 3260 >/run/iscsistart.log 2>&1 || cat /run/iscsistart.log
for attempt in $(seq 100); do
    disk=$(ls -d /sys/class/block/sd* 2>/dev/null | head -n 1)
    [ -n "$disk" ] && break
    sleep 0.1
done
echo "GUEST disk ${disk##*/}"
python3 /guest_agent.py "$nfs" "$share" "/dev/${disk##*/}" "$watchdog" &
agent=$!
# Each line that comes over the console is a command.
while read -r word; do
    case $word in
        kill) kill -9 $agent; echo "GUEST killed" ;;
        off) poweroff -f ;;
    esac
done </dev/ttyS0
sleep 100000
