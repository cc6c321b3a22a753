"""schema.json: which physical topics stand behind which names. Source: protocol/device.md 1.2."""

import pepeunit.files as files
import pepeunit.jsontext as jsontext
from pepeunit.errors import SchemaError, UnknownNameError

# Outputs come first: where an Input and an Output share a name, the name alone means the Output.
DESTINATIONS = ("output_topic", "input_topic", "input_base_topic", "output_base_topic")


class Schema:
    """The four maps of schema.json, each name -> tuple of topics."""

    def __init__(self, maps):
        self.output_topic = maps["output_topic"]
        self.input_topic = maps["input_topic"]
        self.input_base_topic = maps["input_base_topic"]
        self.output_base_topic = maps["output_base_topic"]

    def __eq__(self, other):
        return all(getattr(self, name) == getattr(other, name) for name in DESTINATIONS)

    def topics(self, name):
        """The physical topics behind a name; an Output wins over an Input of the same name."""
        for destination in DESTINATIONS:
            found = getattr(self, destination).get(name)
            if found is not None:
                return found
        raise UnknownNameError("schema.json has no name %s: it has %s" % (name, self._names()))

    def output(self, name):
        """The topics of an Output."""
        topics = self.output_topic.get(name)
        if not topics:
            raise UnknownNameError("schema.json has no Output %s: it has %s" % (name, sorted(self.output_topic)))
        return topics

    def name(self, topic):
        """(destination, name) of a physical topic, for example ("input_topic", "fan/pepeunit")."""
        for destination in DESTINATIONS:
            names = getattr(self, destination)
            for name in sorted(names):
                if topic in names[name]:
                    return destination, name
        raise UnknownNameError("schema.json has no topic " + topic)

    def receivers(self, topic):
        """Every Input name that a topic feeds: an Output may be linked to several Inputs of one unit."""
        return [name for name, topics in self.input_topic.items() if topic in topics]

    def command(self, topic):
        """The command's name behind a topic, for example update/pepeunit, or None."""
        for name, topics in self.input_base_topic.items():
            if topic in topics:
                return name
        return None

    def node_uuid(self, name):
        """The uuid of the own node behind an Output or Input name."""
        topics = self.output_topic.get(name) or self.input_topic.get(name)
        if not topics:
            raise UnknownNameError("schema.json has no Output or Input %s: it has %s" % (name, self._names()))
        return topics[0].split("/")[1]  # the own node stands first: <domain>/<node uuid>[/pepeunit]

    def subscriptions(self):
        """Every topic that the unit must subscribe to; commands first."""
        found = []
        for names in (self.input_base_topic, self.input_topic):
            for topics in names.values():
                for topic in topics:
                    if topic not in found:
                        found.append(topic)
        return found

    def _names(self):
        found = set()
        for destination in DESTINATIONS:
            found.update(getattr(self, destination))
        return sorted(found)


def parse(data):
    """A schema.json: a JSON object, or a JSON string that holds one; an absent map is empty. SchemaError otherwise."""
    try:
        values = jsontext.loads(data)
        if isinstance(values, str):
            values = jsontext.loads(values)
    except ValueError:
        raise SchemaError("schema.json is not JSON: download schema.json of this unit again")
    if not isinstance(values, dict) or not any(key in values for key in DESTINATIONS):
        raise SchemaError("schema.json is no JSON object with the keys " + ", ".join(sorted(DESTINATIONS)))
    return Schema({key: _names(key, values.get(key, {})) for key in DESTINATIONS})


def _names(destination, value):
    if not isinstance(value, dict):
        raise SchemaError(destination + " in schema.json is no object of names")
    for name, topics in value.items():
        if not isinstance(topics, list) or not all(_is_topic(topic) for topic in topics):
            raise SchemaError("%s in schema.json has no list of topics for %s" % (destination, name))
    return {name: tuple(topics) for name, topics in value.items()}


def _is_topic(value):
    """A topic that can be published to: at least two levels, no wildcard, nothing unprintable, not too long."""
    return (
        isinstance(value, str)
        and "/" in value.strip("/")
        and not any(symbol in "+#" or symbol < " " for symbol in value)
        and len(value.encode()) <= 1024
    )


def load(base):
    data = files.read(base + "/schema.json")
    if data is None:
        raise SchemaError(
            "there is no " + base + "/schema.json: copy all that `pepeunit unit download NAME DIR` fetches"
        )
    return parse(data)


def store(base, data):
    """Put a new schema.json, already checked, in the place of the old one, which is kept as schema.json.prev."""
    path = base + "/schema.json"
    old = files.read(path)
    if old == data:
        return
    if old is not None:
        files.write(path + ".prev", old)
    files.write(path, data)
