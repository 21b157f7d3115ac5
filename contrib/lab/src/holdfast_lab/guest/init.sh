#!/bin/sh
# The whole guest: it writes a token of this very run to its disk every 100 ms, and obeys the power button.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1

for module in $(cat /modules/order); do
    insmod "/modules/$module" 2>/dev/null || echo "holdfast guest: no module $module"
done

# Whoever starts the guest says in an OEM string of the firmware which run this is.
of_firmware() {
    strings /sys/firmware/dmi/entries/11-*/raw 2>/dev/null | sed -n "s/^holdfast:$1=//p" | head -n 1
}
run=$(of_firmware run)
vm=$(of_firmware vm)
# Another word for each boot. /dev/urandom would have it too, but whoever reads that before the kernel has gathered
# enough chance lets it spin for more than a second, which is a third of the boot on an emulated CPU.
read -r boot </proc/sys/kernel/random/boot_id
token=$(echo "$boot" | sed 's/-//g')
slot=$((${run:-0} % 256))

until [ -b /dev/vda2 ]; do usleep 20000; done

for device in /sys/class/input/event*; do
    [ "$(cat "$device/device/name" 2>/dev/null)" = "Power Button" ] || continue
    (
        dd if="/dev/input/${device##*/}" of=/dev/null bs=24 count=1 2>/dev/null
        echo "holdfast guest: run=${run:-0} powers off"
        poweroff -f
    ) &
done

echo "holdfast guest: vm=${vm:-none} run=${run:-0} token=$token is up"
count=0
while :; do
    count=$((count + 1))
    read -r up _ </proc/uptime
    printf 'HOLDFAST-TOKEN vm=%s run=%s token=%s count=%s up=%s\n' "${vm:-none}" "${run:-0}" "$token" "$count" "$up" |
        dd of=/dev/vda2 bs=4096 count=1 conv=sync,notrunc,fsync seek="$slot" 2>/dev/null ||
        echo "holdfast guest: run=${run:-0} cannot write its token"
    usleep 100000
done
