"""Tables of nftables that drop, and that filter the members of a bridge."""
