/* The server's half of the WebSocket handshake: Sec-WebSocket-Accept is base64(SHA-1(key + GUID)). */
#define _GNU_SOURCE
#include "handshake.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

enum { KEY_MAX = 64, BLOCK = 64, DIGEST = 20, ACCEPT_MAX = 29 };

static uint32_t rotated(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

static void sha1_block(uint32_t state[5], const unsigned char *block) {
    uint32_t w[80];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 80; i++) {
        uint32_t mixed, constant;
        if (i < 20)
            mixed = (b & c) | (~b & d), constant = 0x5A827999;
        else if (i < 40)
            mixed = b ^ c ^ d, constant = 0x6ED9EBA1;
        else if (i < 60)
            mixed = (b & c) | (b & d) | (c & d), constant = 0x8F1BBCDC;
        else
            mixed = b ^ c ^ d, constant = 0xCA62C1D6;
        uint32_t next = rotated(a, 5) + mixed + e + constant + w[i];
        e = d, d = c, c = rotated(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* `length` is at most KEY_MAX + 36: two blocks hold it with its padding. */
static void sha1(const char *text, size_t length, unsigned char digest[DIGEST]) {
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    unsigned char padded[2 * BLOCK] = {0};
    size_t used = length + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
    memcpy(padded, text, length);
    padded[length] = 0x80;
    padded[used - 2] = (unsigned char)(length * 8 >> 8);
    padded[used - 1] = (unsigned char)(length * 8);
    for (size_t at = 0; at < used; at += BLOCK)
        sha1_block(state, padded + at);
    for (int i = 0; i < DIGEST; i++)
        digest[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const unsigned char digest[DIGEST], char out[ACCEPT_MAX]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < DIGEST; i += 3, out += 4) {
        uint32_t three = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 |
                         (i + 2 < DIGEST ? digest[i + 2] : 0u);
        for (int j = 0; j < 4; j++)
            out[j] = digits[three >> (18 - 6 * j) & 63];
    }
    out[-1] = '='; /* 20 bytes leave one digit of the last four unused */
    out[0] = '\0';
}

size_t upgrade_answer(const char *request, char answer[ANSWER_MAX]) {
    static const char name[] = "\r\nSec-WebSocket-Key:";
    char keyed[KEY_MAX + sizeof GUID] = "", accept[ACCEPT_MAX];
    unsigned char digest[DIGEST];
    const char *key = strcasestr(request, name);
    if (key) {
        key += sizeof name - 1;
        key += strspn(key, " \t");
        size_t length = strcspn(key, " \t\r\n");
        memcpy(keyed, key, length < KEY_MAX ? length : KEY_MAX);
    }
    strcat(keyed, GUID);
    sha1(keyed, strlen(keyed), digest);
    base64(digest, accept);
    return (size_t)snprintf(answer, ANSWER_MAX,
                            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                            accept);
}
