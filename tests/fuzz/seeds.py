"""Where fuzzing starts: an input or two of each kind that the targets take."""

from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["SEEDS"]

_HELLO = b'{"v":1,"type":"hello","id":1,"payload":{"client":"x/1","token":"t","device":"d"}}'
_SUBSCRIBE = b'{"v":1,"type":"subscribe","id":2,"payload":{"channel":"a/b","mode":"latest","interval_ms":5,"snapshot":true,"since":{"epoch":"0","offsets":{"3":1043}}}}'
_UPDATE = b'[{"v":1,"type":"update_subscription","payload":{"sub":1,"paused":true}},{"v":1,"type":"refresh","payload":{"token":"x"}}]'
_EVENT = b'{"key":"a/b","data":{"n":[1,2.5,null]},"headers":{"x":"y"}}'
_CLOUDEVENT = b'{"specversion":"1.0","id":"1","source":"/","type":"t","subject":"k","time":"2024-01-01T00:00:00Z","ext":1,"data":{"a":1}}'
_PUSH = b'{"user":"ann","data":1,"ttl_ms":1000,"id":"i","collapse_key":"c"}'
_TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

SEEDS: Final[Mapping[str, Sequence[bytes]]] = {
    "channel": [b"flights/JFK", b"@me"],
    "claims": [b'{"sub":"ann","aud":"tidewire","iss":"tidewire-dev","exp":9999999999,"iat":1,"jti":"x","caps":{"a/**":["subscribe"]}}'],
    "events": [_EVENT, b"[%b,%b]" % (_EVENT, _EVENT), _CLOUDEVENT],
    "frames": [_HELLO, _SUBSCRIBE, _UPDATE],
    "key_set": [
        b'{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"1","use":"sig"}]}',
        b'{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}',
        b'{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","alg":"RS256","key_ops":["verify"]}]}',
    ],
    "letter": [b'ann\x1etidewire-epoch:e\ntidewire-offset:0:1\ntidewire-ts:1\ntidewire-expires:2\ntidewire-kept:1\nce_id:1\x1e{}\x1ee\x1e0:1\x1e0\x1e1\x1e2\x1e1'],
    "message": [b"ann\x1ece_id:1\ntidewire-ttl-ms:10\ntidewire-collapse-key:k\ntraceparent:" + _TRACE + b'\x1e{"a":1}'],
    "position": [b'{"epoch":"0","offsets":{"3":1043}}'],
    "publisher": [_EVENT, _CLOUDEVENT, b"[%b]" % _CLOUDEVENT, b'{"a":1}\x1ece-specversion:1.0\nce-id:1\nce-source:/\nce-type:t\nce-subject:k\ntraceparent:' + _TRACE],
    "record": [b'a/b\x1eh:x\ntraceparent:y\x1e{"f":1}', b"k\x1econtent-type:application/cloudevents+json\nh:1\x1e" + _CLOUDEVENT],
    "revocation": [b'user/ann\x1e{"issued_before":1700000000,"until":1800000000.5,"reason":"lost"}', b"token/x\x1e{}"],
    "streams": [b"streams:\n  a: &a {topic: a, partitions: 2, modes: [latest, every], public: true}\n  b:\n    <<: *a\n    topic: b\n"],
    "token": [b"eyJhbGciOiJIUzI1NiJ9.e30.AAAA"],
    "token_header": [b'{"alg":"HS256","typ":"JWT","kid":"k"}'],
    "traceparent": [_TRACE, b"cc" + _TRACE[2:] + b"-more"],
    "user": [b"ann", "Łukasz".encode()],
    "user_events": [b'{"data":{"a":1},"ttl_ms":5,"collapse_key":"k","id":"1"}', b'[{"data":1}]', _PUSH],
    "user_path": [b"ann", b"%C5%81%2f"],
}  # fmt: skip
"""By target; parts are separated as the targets have them."""
