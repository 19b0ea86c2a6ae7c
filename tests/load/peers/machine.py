"""A processor in words."""

# By vendor, family and model as /proc/cpuinfo has them; no model: all that are not named.
FAMILIES = {
    ("AuthenticAMD", 23, None): "AMD Zen or Zen 2",
    ("AuthenticAMD", 25, None): "AMD Zen 3 or Zen 4",
    ("AuthenticAMD", 26, None): "AMD Zen 5",
    ("GenuineIntel", 6, 63): "Intel Haswell server",
    ("GenuineIntel", 6, 79): "Intel Broadwell server",
    ("GenuineIntel", 6, 85): "Intel Skylake or Cascade Lake server",
    ("GenuineIntel", 6, 106): "Intel Ice Lake server",
    ("GenuineIntel", 6, 143): "Intel Sapphire Rapids server",
    ("GenuineIntel", 6, 207): "Intel Emerald Rapids server",
}


def processor_words(identity, told):
    """`identity` is vendor, family and model with spaces between; `told` what the processor calls itself."""
    parts = identity.split()
    if len(parts) != 3 or not (parts[1].isdigit() and parts[2].isdigit()):
        return told
    vendor, family, model = parts[0], int(parts[1]), int(parts[2])
    name = FAMILIES.get((vendor, family, model)) or FAMILIES.get((vendor, family, None))
    return name or f"{told}, family {family}, model {model}"
