"""HTTP: parse, command, show. The only room that speaks Neutron's dialect."""
