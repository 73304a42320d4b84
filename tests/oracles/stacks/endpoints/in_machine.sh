#!/usr/bin/env bash
# The endpoint program in a virtual machine that tests/kernels/run has booted: its interface is
# set up, and requests come and results go by its second serial line.
#
#   in_machine.sh GATEWAY4 GATEWAY6 ADDRESS/LENGTH...
set -euo pipefail
gateway4=$1 gateway6=$2
shift 2

modprobe virtio_net
modprobe sctp
for scope in all default; do
  for name in accept_dad accept_ra use_tempaddr router_solicitations; do
    echo 0 > "/proc/sys/net/ipv6/conf/$scope/$name"
  done
done
echo 3 > /proc/sys/net/ipv4/tcp_fastopen
echo 0 > /proc/sys/net/ipv4/icmp_ratemask
# A path is given up in tenths of a second, not in minutes.
sysctl -qw net.sctp.rto_initial=200 net.sctp.rto_min=100 net.sctp.rto_max=400 \
  net.sctp.path_max_retrans=2 net.sctp.hb_interval=300
until ip link show eth0 > /dev/null 2>&1; do sleep 0.05; done
ip link set eth0 up
for address in "$@"; do ip addr add "$address" dev eth0; done
ip route add default via "$gateway4"
ip -6 route add default via "$gateway6"
stty -F /dev/ttyS1 raw -echo
exec /usr/bin/python3 "$(dirname "$0")/on_system.py" < /dev/ttyS1 > /dev/ttyS1
