"""What to say of handlers that nothing can ever reach. Loaded only where there are some."""


def text(inputs, commands, schema):
    """`inputs` and `commands` are the names with handlers that schema.json lacks."""
    parts = []
    if inputs:
        parts.append("on_input %s (the Inputs: %s)" % (_listed(inputs), _listed(schema.input_topic)))
    if commands:
        parts.append("on_command %s (the commands: %s)" % (_listed(commands), _listed(schema.input_base_topic)))
    return "never called, schema.json has no such name: " + "; ".join(parts)


def _listed(names):
    return ", ".join(sorted(names)) or "none"
