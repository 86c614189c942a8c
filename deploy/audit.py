"""Audits what the backend is made of: a bill of materials, licences, secrets in the repository, known advisories.

    python deploy/audit.py [--output target/sbom.cdx.json] [--advisories URL]

The bill (CycloneDX 1.6, JSON) lists the packages of requirements.lock with their versions, hashes and licences, and the
browser files that the console brings. It is made of the lock and of the metadata of the installed packages, so it needs
no network. The licence of each package must be in LICENCES. No file of the repository may hold what looks like a
secret, unless deploy/audit-allowed.txt has its digest. Advisories are asked for in one request to OSV; where that is
not reachable, the output says so, and the exit status does not depend on it.
"""

# No `from __future__ import annotations` here: dataclasses would look for the module of a file that tests load by path.

import argparse
import base64 as b64
import datetime
import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from solders.keypair import Keypair

from zmart.domain import base58

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = Path("target/sbom.cdx.json")
ALLOWED = Path("deploy/audit-allowed.txt")
#: Answers which versions of packages have advisories.
ADVISORIES = "https://api.osv.dev/v1/querybatch"
ADVISORY_SECONDS = 20.0

#: Licences that a distribution of the backend may contain, by SPDX identifier, and the words that packages use.
LICENCES: Mapping[str, Sequence[str]] = {
    "MIT": ("mit", "mit license", "the mit license (mit)"),
    "Apache-2.0": (
        "apache 2.0",
        "apache license 2.0",
        "apache license version 2.0",
        "apache license, version 2.0",
        "apache software license",
    ),
    "BSD-3-Clause": ("bsd-3-clause", "3-clause bsd license", "bsd", "bsd license"),
    "BSD-2-Clause": ("bsd-2-clause",),
    "ISC": ("isc license", "isc license (iscl)"),
    "MPL-2.0": ("mozilla public license 2.0 (mpl 2.0)",),
    "PSF-2.0": ("python software foundation license",),
    "LGPL-3.0-or-later": ("lgpl with exceptions", "gnu library or lesser general public license (lgpl)"),
    "LGPL-3.0-only": ("gnu lesser general public license v3 (lgplv3)",),
    "Artistic-1.0": ("artistic license",),
    "PostgreSQL": ("postgresql license",),
    "Unlicense": (),
    "0BSD": (),
    "Zlib": (),
    "CC0-1.0": (),
}
#: Packages whose metadata names no licence; read in their repositories.
READ_BY_US: Mapping[str, str] = {"jsonalias": "MIT", "solders": "Apache-2.0", "rich-click": "MIT"}


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package as it is locked."""

    name: str
    version: str
    hashes: tuple[str, ...]
    licence: str | None
    #: Not installed here: the lock has it for another platform or Python.
    is_elsewhere: bool = False

    @property
    def purl(self) -> str:
        """Return its package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


@dataclass(kw_only=True)
class Findings:
    """What an audit found: faults end it with status 1, notes do not."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


# --- packages and licences --------------------------------------------------------------------


def locked_packages(lock: str) -> Iterator[Package]:
    """Yield the packages of the text of a lock."""
    for block in re.split(r"\n(?=\S)", lock):
        if found := re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", block):
            name, version = found.groups()
            hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
            licence = licence_of(name)
            yield Package(
                name=name, version=version, hashes=hashes, licence=licence, is_elsewhere=not is_installed(name)
            )


def is_installed(name: str) -> bool:
    """Return whether a package is installed here."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def licence_of(name: str) -> str | None:
    """Return the SPDX expression of an installed package, or None when its metadata does not name an allowed one."""
    if not is_installed(name):
        return None
    # As a dictionary: a header that is missing is None there.
    metadata = importlib.metadata.metadata(name).json
    if expression := metadata.get("license_expression"):
        return str(expression) if is_allowed(str(expression)) else None
    classifiers = [str(text).rpartition(" :: ")[2] for text in metadata.get("classifier", ()) if "License ::" in text]
    words = [str(metadata.get("license") or "").strip(), *classifiers]
    found = (spdx_of(text.splitlines()[0]) for text in words if text)
    return next((licence for licence in found if licence), None) or READ_BY_US.get(name)


def spdx_of(text: str) -> str | None:
    """Return the identifier that a package means by its words, or None."""
    plain = re.sub(r"\s+copyright.*", "", text.rpartition(" :: ")[2].strip().lower())
    for identifier, spoken in LICENCES.items():
        if plain == identifier.lower() or plain in spoken:
            return identifier
    return text.strip() if re.search(r" (OR|AND) ", text) and is_allowed(text) else None


def is_allowed(expression: str) -> bool:
    """Return whether an SPDX expression can be met with licences of the list: all of AND, one of OR."""
    plain = re.sub(r" WITH [\w.-]+", "", expression.replace("(", " ").replace(")", " "))
    known = {identifier.lower() for identifier in LICENCES}
    return all(any(one.strip().lower() in known for one in part.split(" OR ")) for part in plain.split(" AND "))


def check_licences(packages: Sequence[Package]) -> Findings:
    """Find packages without an allowed licence."""
    findings = Findings()
    for package in packages:
        if package.is_elsewhere:
            findings.notes.append(f"{package.name} is for another platform; its licence was not read")
        elif package.licence is None:
            findings.faults.append(f"{package.name} {package.version} names no licence of the list in deploy/audit.py")
    return findings


# --- the bill of materials --------------------------------------------------------------------


def make_bill(packages: Sequence[Package], vendored: Sequence[Mapping[str, Any]], now: datetime.datetime) -> Any:
    """Return the bill as CycloneDX 1.6."""
    components = [
        {
            "type": "library",
            "bom-ref": package.purl,
            "name": package.name,
            "version": package.version,
            "purl": package.purl,
            # An artifact has one hash of each kind; the lock has one for each file of the release.
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": f"https://pypi.org/project/{package.name}/{package.version}/",
                    "hashes": [{"alg": "SHA-256", "content": content}],
                }
                for content in package.hashes
            ],
            **({"licenses": [{"expression": package.licence}]} if package.licence else {}),
        }
        for package in packages
    ]
    components += [
        {
            "type": "library",
            "bom-ref": f"pkg:npm/{each['name']}@{each['version']}",
            "name": each["name"],
            "version": each["version"],
            "purl": f"pkg:npm/{each['name']}@{each['version']}",
        }
        for each in vendored
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    own = f"pkg:generic/{project['name']}@{project['version']}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": now.isoformat(timespec="seconds"),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"license": {"id": project["license"]}}],
            },
        },
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [each["bom-ref"] for each in components]}],
    }


# --- secrets ----------------------------------------------------------------------------------

#: What looks like a secret, by kind; the group `secret`, if there is one, is the part that counts.
SECRETS: Mapping[str, str] = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
    "a key file of Solana": r"\[\s*(?:\d{1,3}\s*,\s*){63}\d{1,3}\s*\]",
    "a secret key of Solana": r"(?<![1-9A-HJ-NP-Za-km-z])(?=\w*\d)[1-9A-HJ-NP-Za-km-z]{87,88}(?![1-9A-HJ-NP-Za-km-z])",
    "a key of AWS": r"\bAKIA[0-9A-Z]{16}\b",
    "a token of GitHub": r"\bgh[pousr]_[A-Za-z0-9]{36,}\b",
    "a token of Slack": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a token (JWT)": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}",
    "a key of Helius": r"api-key=(?P<secret>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
}
#: Kinds that other data resembles, and the check that distinguishes them.
CHECKS: Mapping[str, Callable[[str], bool]] = {
    "a key file of Solana": lambda found: is_keypair(bytes(int(part) % 256 for part in re.findall(r"\d+", found))),
    # A signature of a transaction has the same length.
    "a secret key of Solana": lambda found: is_keypair(base58.decode(found)),
    "a token (JWT)": lambda found: not has_expired(found),
}
_BINARY = frozenset({".png", ".xz", ".gz", ".woff2", ".ico"})


def is_keypair(data: bytes) -> bool:
    """Return whether 64 bytes are an Ed25519 seed and the public key that belongs to it."""
    try:
        return len(Keypair.from_bytes(data).to_bytes()) == 64
    except ValueError:
        return False


def has_expired(token: str) -> bool:
    """Return whether a JWT has a time of expiry, in the past."""
    try:
        payload = token.split(".")[1]
        expiry = json.loads(b64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        return datetime.datetime.fromtimestamp(expiry, datetime.UTC) < datetime.datetime.now(datetime.UTC)
    except (ValueError, KeyError, TypeError):
        return False


def allowed_digests(text: str) -> dict[str, str]:
    """Return the reasons of what is allowed, by digest: each line is a digest, a space and the reason."""
    lines = (line.strip() for line in text.splitlines())
    return dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))  # type: ignore[misc]


def digest_of(found: str) -> str:
    """Return the digest by which a text can be allowed: the list itself then holds no secret."""
    return hashlib.sha256(found.encode()).hexdigest()[:16]


def find_secrets(files: Mapping[str, str], allowed: Mapping[str, str]) -> Findings:
    """Find secrets in the texts of files, by path; also allowed ones that are in no file any more."""
    findings, used = Findings(), set()
    for path, text in files.items():
        for kind, pattern in SECRETS.items():
            for match in re.finditer(pattern, text):
                if not CHECKS.get(kind, bool)(match[0]):
                    continue
                digest = digest_of(match.groupdict().get("secret") or match[0])
                used.add(digest)
                if digest not in allowed:
                    line = text.count("\n", 0, match.start()) + 1
                    findings.faults.append(f"{path}:{line} looks like {kind} (digest {digest})")
    findings.faults += [f"{ALLOWED}: {digest} is in no file" for digest in sorted(set(allowed) - used)]
    return findings


def tracked_files(root: Path) -> dict[str, str]:
    """Return the texts of the files that git tracks, by path."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout  # noqa: S607
    paths = [
        path for path in listed.split("\0") if path and Path(path).suffix not in _BINARY and (root / path).is_file()
    ]
    return {path: (root / path).read_text(errors="replace") for path in paths}


# --- advisories -------------------------------------------------------------------------------


def ask_advisories(packages: Sequence[Package], url: str) -> Findings:
    """Ask in one request which packages have advisories; a service that does not answer is noted."""
    queries = [{"package": {"purl": package.purl}} for package in packages]
    try:
        answer = httpx.post(url, json={"queries": queries}, timeout=ADVISORY_SECONDS)
        answer.raise_for_status()
        results = answer.json()["results"]
        found = [(package, each) for package, each in zip(packages, results, strict=True) if each.get("vulns")]
    except (httpx.HTTPError, ValueError, KeyError, AttributeError) as error:
        return Findings(notes=[f"not reachable: {url} ({type(error).__name__}); advisories were not checked"])
    return Findings(
        faults=[
            f"{package.name} {package.version} has {', '.join(vuln['id'] for vuln in each['vulns'])}"
            for package, each in found
        ]
    )


def main(arguments: Sequence[str]) -> int:
    """Audit, print one line for each part and each finding, and return 1 if there are faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"where to write the bill (default: {OUTPUT})")
    parser.add_argument("--advisories", default=ADVISORIES, help="the service of advisories, in the form of OSV")
    options = parser.parse_args(arguments)
    packages = list(locked_packages((ROOT / "requirements.lock").read_text()))
    vendored = tomllib.loads((ROOT / "api/console/vendor/VENDORED.toml").read_text())["package"]
    bill = make_bill(packages, vendored, datetime.datetime.now(datetime.UTC))
    output = ROOT / options.output
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(bill, indent=1))
    print(f"  bill of materials  {len(bill['components'])} components in {options.output}")
    allowed = allowed_digests((ROOT / ALLOWED).read_text())
    parts: Sequence[tuple[str, Callable[[], Findings]]] = (
        ("licences", lambda: check_licences(packages)),
        ("secrets", lambda: find_secrets(tracked_files(ROOT), allowed)),
        ("advisories", lambda: ask_advisories(packages, options.advisories)),
    )
    has_faults = False
    for name, check in parts:
        findings = check()
        has_faults |= bool(findings.faults)
        print(f"  {name:<17}  {'no' if not findings.faults else len(findings.faults)} faults")
        for text in [*findings.faults, *findings.notes]:
            print(f"      {text}")
    return 1 if has_faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
