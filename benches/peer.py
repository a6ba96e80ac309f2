"""What a page of Python does with a manifest: reads it, judges it by the schema and renders three of the files that
bottlec makes, in memory. Nothing is merged, linted or read back, and no mistake has a line or a column."""

import json
import pathlib
import sys

import jinja2
import jsonschema
import yaml

ROUTES = """\
routes:
{% for route in routes %}
- host: {{ route.host | tojson }}
{% if route.path_allowlist %}
  path_allowlist: {{ route.path_allowlist | tojson }}
{% endif %}
{% if route.auth %}
  auth_scheme: {{ route.auth.scheme | tojson }}
  token_env: EGRESS_TOKEN_{{ loop.index0 }}
{% endif %}
{% endfor %}
"""
FILTER = """\
mode: strict
api_allowlist:
{% for route in routes %}
- {{ route.host | tojson }}
{% endfor %}
passthrough_domains:
{% for route in routes if route.pipelock and route.pipelock.tls_passthrough %}
- {{ route.host | tojson }}
{% endfor %}
"""
AGENT = """\
{% for name, value in env | dictsort %}
{{ name }}={{ value }}
{% endfor %}
"""

schema, manifest = (pathlib.Path(path) for path in sys.argv[1:])
bottle = yaml.load(manifest.read_text(), yaml.CSafeLoader)
jsonschema.Draft7Validator(json.loads(schema.read_text())).validate(bottle)
jinja = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
for template in (ROUTES, FILTER, AGENT):
    text = jinja.from_string(template).render(routes=bottle["egress"]["routes"], env=bottle.get("env", {}))
    assert text
