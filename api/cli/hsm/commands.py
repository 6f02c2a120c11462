"""`onecard hsm`: the key service as a device, from its first custodian to its end.

Decides nothing; it gathers the commands. The files of this folder are the device's composition
root: with `api.composition` the only ones that name `hsm_sim`.
"""

from api.cli.frame.loading import command, noun
from api.cli.hsm import ceremony, keys, partners, serve, token
from cardcore.text import Text

app = noun(Text("密钥设备与密钥服务。", "The key device and the key service."))
command(
    app,
    "serve",
    Text(
        "向其他进程提供设备中的密钥，直至停止。",
        "Serve the keys of a device to other processes, until stopped.",
    ),
)(serve.serve)
command(
    app,
    "keys",
    Text(
        "设备中的每把密钥：名称、状态、检查值。",
        "Every key of a device: names, states, check values.",
    ),
)(keys.keys)
app.add_typer(ceremony.app, name="ceremony")
command(
    app,
    "import",
    Text("导入另一台设备制作的密钥块。", "Take in a key block that another device made."),
)(partners.import_)
command(
    app,
    "export",
    Text(
        "在传输密钥下把一把密钥导出为密钥块。",
        "Give a key out as a key block under a transport key.",
    ),
)(partners.export)
command(
    app,
    "rotate",
    Text(
        "生成密钥的下一版本；此前的版本退役，仍可验证。卡片的消费、圈存、TAC 密钥只显示一个版本："
        "三者须一起轮换。",
        "Make the next version of keys; those before retire and go on proving. A card shows one "
        "version for its purchase, load and TAC keys: rotate the three together.",
    ),
)(keys.rotate)
command(
    app,
    "to-token",
    Text(
        "把密钥装入 PKCS#11 令牌，只在令牌中使用，不再取出。不写密钥名时，装入令牌能容纳的全部可导"
        "出"
        "密钥；再次执行即更新。",
        "Put keys into a PKCS#11 token, to be used there and never taken out. Without names, every "
        "exportable key that a token can hold. The same again brings it up to date.",
    ),
)(token.to_token)
