"""The only room that touches the machine: thin doors to bpf, nft, netlink and the clock."""
