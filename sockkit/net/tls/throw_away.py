"""Makes a self-signed certificate for one run of a server, with the package `cryptography`.

Clients recognize it by its fingerprint. Its key is never stored in a file that outlives the start.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import tempfile

from sockkit.core.packages import missing

LIFETIME = datetime.timedelta(days=365)
CLOCK_DIFFERENCE = datetime.timedelta(days=1)  # a client's clock may be so much behind ours


def install(context: ssl.SSLContext, host: str) -> bytes:
    """Make a certificate for `host`, localhost and the loopback addresses, and use it in `context`.

    Returns its SHA-256. Raises SockkitError if `cryptography` is not installed.
    """
    cert, key, fingerprint = _make(host)
    # OpenSSL reads certificates only from files.
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("key")  # closed on exec
        path = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp()  # only our user can read it
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
    """A self-signed certificate and its key, both in PEM, and the certificate's SHA-256."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise missing(
            "cryptography", error, "making a certificate", "add --tls-cert and --tls-key, or "
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
