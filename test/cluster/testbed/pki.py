# SPDX-License-Identifier: Apache-2.0
"""The certificates of one cluster: an authority, the API server's, the administrator's, and the key of the tokens."""
from pathlib import Path

from .shell import run

DAYS = "30"
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def _signed(folder: Path, name: str, subject: str, extension: str) -> None:
    key, request, certificate = (folder / f"{name}.{end}" for end in ["key", "csr", "crt"])
    extensions = folder / f"{name}.ext"
    extensions.write_text(extension + "\n", encoding="ascii")
    run(["openssl", "req", *EC, "-keyout", key, "-out", request, "-subj", subject])
    run(["openssl", "x509", "-req", "-in", request, "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial",
         "-days", DAYS, "-out", certificate, "-extfile", extensions])


def make(folder: Path, addresses: list, names: list) -> None:
    folder.mkdir(mode=0o700, parents=True)
    run(["openssl", "req", "-x509", *EC, "-days", DAYS, "-subj", "/CN=kubecanary-test", "-keyout", folder / "ca.key",
         "-out", folder / "ca.crt"])
    alternatives = ",".join([*(f"IP:{a}" for a in addresses), *(f"DNS:{n}" for n in names)])
    _signed(folder, "apiserver", "/CN=kube-apiserver", f"subjectAltName={alternatives}")
    _signed(folder, "admin", "/O=system:masters/CN=admin", "extendedKeyUsage=clientAuth")
    run(["openssl", "genrsa", "-out", folder / "sa.key", "2048"])


def kubeconfig(folder: Path, server: str) -> str:
    return f"""apiVersion: v1
kind: Config
clusters:
- {{name: test, cluster: {{server: "{server}", certificate-authority: "{folder}/ca.crt"}}}}
users:
- {{name: admin, user: {{client-certificate: "{folder}/admin.crt", client-key: "{folder}/admin.key"}}}}
contexts:
- {{name: test, context: {{cluster: test, user: admin}}}}
current-context: test
"""
