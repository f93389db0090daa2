"""A certificate for one run of a server, made by the package `cryptography`.

Clients know it by its fingerprint. Its key never gets a name in the file system that lasts.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import sys
import tempfile

from sockkit.errors import UsageError

LIFETIME = datetime.timedelta(days=365)
CLOCK_DIFFERENCE = datetime.timedelta(days=1)  # by which a client's clock may be behind


def install(context: ssl.SSLContext, host: str) -> bytes:
    """Have `context` show a new certificate for `host` and this machine's own names.

    Returns its SHA-256. Raises UsageError if `cryptography` is not installed.
    """
    cert, key, fingerprint = _make(host)
    # OpenSSL reads files alone.
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("key")  # closed on exec
        path = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp()  # which only we may read
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key + cert)
            file.flush()
            context.load_cert_chain(path)
    finally:
        if not path.startswith("/proc/"):
            os.unlink(path)
    return fingerprint


def _make(host: str) -> tuple[bytes, bytes, bytes]:
    """A certificate that signs itself, its key, both in PEM, and its SHA-256."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise UsageError(
            "making a certificate needs the Python package cryptography, which is not installed",
            f"give --tls-cert and --tls-key, or run {sys.executable} -m pip install cryptography",
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sockkit, for one run")])
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    addresses = {"127.0.0.1", "::1"}
    try:
        ipaddress.ip_address(host)
        addresses.add(host)
    except ValueError:
        if host.isascii() and host and host != "localhost":
            names.append(x509.DNSName(host))
    names += [x509.IPAddress(ipaddress.ip_address(each)) for each in sorted(addresses)]
    now = datetime.datetime.now(datetime.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_DIFFERENCE)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return (
        cert.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        cert.fingerprint(hashes.SHA256()),
    )
