"""`onecard hsm`: the key service as a device, from its first custodian to its end.

Decides nothing; it gathers the commands. The files `hsm_*.py` are the device's composition root:
with `api.composition` the only ones that name `hsm_sim`.
"""

import typer

from api.cli.hsm import (
    ceremony as hsm_ceremony,
)
from api.cli.hsm import (
    keys as hsm_keys,
)
from api.cli.hsm import (
    serve as hsm_serve,
)
from api.cli.hsm import (
    token as hsm_token,
)

app = typer.Typer(
    help="The key service and its ceremonies. 密钥服务与密钥仪式。", no_args_is_help=True
)
app.command()(hsm_serve.serve)
app.command()(hsm_keys.keys)
app.add_typer(hsm_ceremony.app, name="ceremony")
app.command("import")(hsm_keys.import_)
app.command()(hsm_keys.export)
app.command()(hsm_keys.rotate)
app.command()(hsm_token.to_token)
