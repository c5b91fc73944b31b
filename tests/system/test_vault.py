"""Secrets that runs ask of the vault, as the vendor's libraries for robots ask for them."""
import json
import pathlib

import pytest

from conftest import until

# What robocorp-vault does: its own key pair, AES-GCM under a key that came in RSA-OAEP; the nonce read is the iv's hexadecimal text.
CLIENT = '''
import base64, json, os, sys, urllib.error, urllib.parse, urllib.request
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
E = os.environ
URL = f"{E['RC_API_SECRET_HOST']}/secrets-v1/workspaces/{E['RC_WORKSPACE_ID']}/secrets/"
def b64(data):
    return base64.b64encode(data).decode()
def ask(method, name, query="", body=None):
    request = urllib.request.Request(URL + name + query, body, {"Authorization": f"Bearer {E['RC_API_SECRET_TOKEN']}"}, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read()
def get(name):
    mine = rsa.generate_private_key(65537, 2048)
    der = mine.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    query = "?" + urllib.parse.urlencode({"encryptionScheme": "robocloud-vault-transit-v2", "publicKey": b64(der)})
    got = json.loads(ask("GET", name, query))
    sealed = {k: base64.b64decode(v) for k, v in got["encryption"].items() if k != "encryptionScheme"}
    key = mine.decrypt(sealed["encryptedAES"], OAEP)
    text = AESGCM(key).decrypt(sealed["iv"].hex().encode(), base64.b64decode(got["value"]) + sealed["authTag"], None)
    return got["name"], got["description"], json.loads(text)
def put(name, value):
    theirs = serialization.load_der_public_key(base64.b64decode(ask("GET", "publicKey")))
    key, iv = AESGCM.generate_key(256), os.urandom(16)
    sealed = AESGCM(key).encrypt(iv, json.dumps(value).encode(), None)
    ask("PUT", name, body=json.dumps({"description": "", "value": b64(sealed[:-16]), "encryption": {
        "encryptionScheme": "robocloud-vault-transit-v2", "encryptedAES": b64(theirs.encrypt(key, OAEP)), "authTag": b64(sealed[-16:]),
        "iv": b64(iv)}}).encode())
def code(*words):
    try:
        return ask(*words) and 200
    except urllib.error.HTTPError as refused:
        return refused.code
'''

CONFIG = """
[secret mail]
value_file = mail.json
description = The mailbox of the invoices
[secret token]
value_file = vault/token.json
writable = yes
[secret word]
value_env = VAULT_WORD
[secret other]
value_file = mail.json
[process plain]
workspace = here
command = /usr/bin/python3 {folder}/robot.py
secrets = mail token word
[process steps]
workspace = here
steps = with without
secrets = mail token word
[step with]
command = /usr/bin/python3 {folder}/robot.py
[step without]
shell = yes
command = env | grep -c RC_API_SECRET; true
secrets =
[process none]
workspace = here
command = env
"""


@pytest.fixture
def vault(daemon):
    (daemon.folder / "vault").mkdir()
    for name, value in (("mail.json", {"user": "robot", "password": "swordfish-1"}), ("vault/token.json", {"n": 1})):
        (daemon.folder / name).write_text(json.dumps(value, indent=2))
        (daemon.folder / name).chmod(0o600)
    daemon.env["VAULT_WORD"] = '{"word": "swordfish-2"}'
    daemon.configure(CONFIG.format(folder=daemon.folder))
    return daemon


def robot(daemon, text):
    (daemon.folder / "robot.py").write_text(CLIENT + text)


def console(record):
    return (pathlib.Path(record["results"]) / "console.log").read_text()


@pytest.mark.parametrize("process", ["plain", "steps"])
def test_a_run_reads_what_it_was_given(vault, process):
    robot(vault, '''
name, description, value = get("mail")
assert (name, description, sorted(value)) == ("mail", "The mailbox of the invoices", ["password", "user"]), (name, description)
assert value["password"] == "swordfish-1" and get("word")[2] == {"word": "swordfish-2"}
print("other", code("GET", "other"), "missing", code("GET", "missing"), "half", code("GET", "mail", "?publicKey=AAAA"),
      "no key", code("GET", "mail", "?encryptionScheme=robocloud-vault-transit-v2&publicKey=AAAA"), "write", code("PUT", "mail", "", b"{}"))
''')
    vault.start()
    record = vault.run_and_wait(process)
    assert record["state"] == "completed", console(record)
    assert "other 404 missing 404 half 400 no key 400 write 403" in console(record)
    if process == "steps":
        assert console(record).rstrip().endswith("0")   # the other step has not been told of a vault
    for path in [vault.folder / "log", *vault.results.rglob("*"), *(vault.folder / "state").rglob("*")]:
        if path.is_file():
            assert b"swordfish" not in path.read_bytes(), path


def test_a_run_changes_what_it_may(vault):
    (vault.folder / "vault" / "real.json").write_text('{"n": 1}')
    (vault.folder / "vault" / "real.json").chmod(0o600)
    (vault.folder / "vault" / "token.json").unlink()
    (vault.folder / "vault" / "token.json").symlink_to("real.json")
    robot(vault, '''
value = get("token")[2]
value["n"] += 1
put("token", value)
assert get("token")[2] == value
print("not ours", code("PUT", "token", "", b'{"value": "AAAA"}'), "no JSON", code("PUT", "token", "", b"{"))
''')
    vault.start()
    for n in (2, 3):
        record = vault.run_and_wait("plain")
        assert record["state"] == "completed", console(record)
        assert "not ours 400 no JSON 400" in console(record)
        assert json.loads((vault.folder / "vault" / "real.json").read_text()) == {"n": n}
        vault.kill()
        vault.start()   # the key for writing is kept
    assert (vault.folder / "vault" / "token.json").is_symlink()
    assert (vault.folder / "state" / "transit.pem").stat().st_mode & 0o777 == 0o600


def test_a_file_that_has_changed_is_read_anew_and_a_broken_one_is_told(vault):
    robot(vault, 'print("got", get("mail")[2] if code("GET", "token") == 400 else "")\n')
    vault.start()
    (vault.folder / "mail.json").write_text('{"password": "new"}')
    assert "got {'password': 'new'}" in console(vault.run_and_wait("plain"))
    (vault.folder / "mail.json").write_text('{"password": "hush-hush')
    record = vault.run_and_wait("plain")
    assert record["state"] == "failed" and "HTTP Error 500" in console(record)
    assert "mail.json is not one JSON object" in vault.log_text() and "hush" not in vault.log_text()
    (vault.folder / "mail.json").unlink()
    assert vault.run_and_wait("plain")["state"] == "failed"
    until(lambda: "No such file" in vault.log_text(), "the log says why")


def test_no_key_and_no_other_run_gets_anything(vault):
    robot(vault, '''
import time
open(E["HOLD"] + ".part", "w").write(json.dumps(dict(E)))
os.rename(E["HOLD"] + ".part", E["HOLD"])
while not os.path.exists(E["HOLD"] + ".go"):
    time.sleep(0.05)
''')
    vault.configure(CONFIG.format(folder=vault.folder).replace("secrets = mail token word", f"secrets = mail\nenv = HOLD={vault.folder}/env", 1))
    vault.start()
    run = vault.begin("plain")
    until((vault.folder / "env").exists, "the run has begun")
    env = json.loads((vault.folder / "env").read_text())
    path = f"/secrets-v1/workspaces/{env['RC_WORKSPACE_ID']}/secrets/"
    value = vault.cli("keys", "add", "--workspace", "here", "--name", "k", "--permissions", "all").stdout.strip().split()[-1]

    def status(token, name, method="GET", scheme="Bearer"):
        return vault.tcp(method, path + name, headers={"Authorization": f"{scheme} {token}"}).status
    token = env["RC_API_SECRET_TOKEN"]
    assert status(token, "publicKey") == 200 and status(token, "word") == 404 and status(token, "mail") == 400
    assert status(value, "publicKey", scheme="RC-WSKEY") == 401 and status(value, "mail") == 401 and status("", "mail") == 401
    assert vault.api("GET", path + "mail").status == 401   # not over the socket either: it is of runs alone
    assert status(token, "mail", "DELETE") == 401   # what is not in the table is not there
    assert vault.tcp("GET", path.replace(env["RC_WORKSPACE_ID"], "elsewhere") + "mail", headers={"Authorization": f"Bearer {token}"}).status == 401
    (vault.folder / "env.go").touch()
    assert vault.ended(run)["state"] == "completed"
    assert status(token, "publicKey") == 401 and token not in vault.log_text()
    assert "RC_API_SECRET" not in console(vault.run_and_wait("none"))


BAD = {
    "[secret s]\n": "value_file, value_env or value_credential",
    "[secret s]\nvalue = {}\n": "a secret is never written here",
    "[secret s]\nvalue_file = list.json\n": "is not one JSON object",
    "[secret s]\nvalue_file = broken.json\n": "is not one JSON object",
    "[secret s]\nvalue_file = gone.json\n": "No such file",
    "[secret s]\nvalue_file = open.json\n": "can be written by others",
    "[secret s]\nvalue_file = mail.json\nvalue_env = VAULT_WORD\n": "and not several",
    "[secret s]\nvalue_env = VAULT_WORD\nwritable = yes\n": "only what lies in a value_file",
    "[secret s]\nvalue_credential = ../mail.json\n": "CREDENTIALS_DIRECTORY",
    "[secret publicKey]\nvalue_env = VAULT_WORD\n": "choose another",
    "[secret mail]\nvalue_env = VAULT_WORD\n[process p]\nworkspace = here\ncommand = true\nsecrets = mial\n": 'did you mean "mail"?',
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_bad_configurations(vault, text):
    for name, content, mode in (("list.json", "[1]", 0o600), ("broken.json", '{"a": "hunter2', 0o600), ("open.json", "{}", 0o666)):
        (vault.folder / name).write_text(content)
        (vault.folder / name).chmod(mode)
    vault.configure(text)
    done = vault.cli("check", check=False)
    assert done.returncode == 78 and BAD[text] in done.stderr and "hunter2" not in done.stderr, done.stderr
