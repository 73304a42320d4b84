"""Networks, subnets and ports, as Neutron v2.0 spells them."""
