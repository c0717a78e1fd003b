"""Checks a COSE receipt of inclusion (RFC 9942) with pycose: cose.py RECEIPT LEAF CHECKPOINT_KEY"""

import base64
import hashlib
import sys

import cbor2
from pycose.headers import Algorithm
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import CoseMessage

receipt, leaf, key = (open(path, "rb").read() for path in sys.argv[1:4])
message = CoseMessage.decode(receipt)
assert type(message).__name__ == "Sign1Message", message
assert message.payload is None, "the root is detached"
protected = cbor2.loads(cbor2.loads(receipt).value[0])
assert protected[395] == 1, "RFC9162_SHA256"
assert message.get_attr(Algorithm).__name__ == "EdDSA"
proofs = cbor2.loads(receipt).value[1][396][-1]
assert len(proofs) == 1
size, index, path = cbor2.loads(proofs[0])

# RFC 9162, section 2.1.3.2.
assert index < size
place, last = index, size - 1
root = hashlib.sha256(b"\0" + leaf).digest()
for sibling in path:
    assert last > 0, "the path is too long"
    if place & 1 or place == last:
        root = hashlib.sha256(b"\1" + sibling + root).digest()
        while place and not place & 1:
            place >>= 1
            last >>= 1
    else:
        root = hashlib.sha256(b"\1" + root + sibling).digest()
    place >>= 1
    last >>= 1
assert last == 0, "the path is too short"

origin, _, encoded = key.decode().strip().split("+", 2)
assert protected[15][1] == origin, "the issuer is the trail"
public = base64.b64decode(encoded)
assert public[0] == 1
message.key = OKPKey(crv=Ed25519, x=public[1:])
message.payload = root
assert message.verify_signature(), "the signature is not the key's over this root"
message.payload = bytes(32)
assert not message.verify_signature(), "any root would do"
print(f"entry {index + 1} of {size} of {origin}")
