#!/bin/bash
# PID 1 of a systemd of its own: on an overlay of this machine's root, with its own /tmp, /run, /dev and cgroups. Started by
# private-systemd.ts, in new namespaces; what it changes is gone with it.
# $1: an empty directory   $2: a directory that is seen at /lab, read-only   $3: the name of its cgroup
#
# Never on the machine's own root: its systemd-tmpfiles would empty the real /tmp.
set -euo pipefail
dir=$1 shared=$2 group=$3 root=$1/root
mount --make-rprivate /
mount -t tmpfs -o mode=755 lab "$dir"
mkdir -p "$dir"/{up,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/up,workdir=$dir/work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
  touch "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir -p "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for link in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${link%:*}" "$root/dev/${link#*:}"; done
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root/lab"
mount --bind "$shared" "$root/lab"
mount -o remount,bind,ro "$root/lab"
mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
if [ -d /sys/fs/cgroup/memory ]; then
  for name in cpu cpuacct memory pids blkio devices freezer cpuset; do
    mkdir -p "$root/sys/fs/cgroup/$name"
    mount -t cgroup -o "$name" cgroup "$root/sys/fs/cgroup/$name" 2>/dev/null || rmdir "$root/sys/fs/cgroup/$name"
  done
  mkdir -p "$root"/sys/fs/cgroup/{systemd,unified}
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
else
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
units=$root/etc/systemd
mkdir -p "$units/journald.conf.d" "$units/system"
printf '[Journal]\nReadKMsg=no\nAudit=no\nStorage=volatile\nRateLimitBurst=0\n' > "$units/journald.conf.d/lab.conf"
ln -sf /dev/null "$units/system/systemd-journald-audit.socket"
: > "$root/etc/fstab"
cat > "$units/system/lab.target" <<'UNIT'
[Unit]
Description=lab
DefaultDependencies=no
Wants=systemd-journald.service systemd-journald.socket
After=systemd-journald.service systemd-journald.socket
AllowIsolate=yes
UNIT
cd "$root"
mkdir -p .old
pivot_root . .old
cd /
umount -l /.old
# LoadCredential= needs it.
mount --make-rshared /
[ "$(stat -f -c %T /)" = overlayfs ] || { echo "refused: / is not the overlay of $group"; exit 1; }
exec env -i container=lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
  /lib/systemd/systemd --unit=lab.target --log-target=journal-or-kmsg --show-status=no
