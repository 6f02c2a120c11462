/*
 * Proves TACs one record at a time with libcrypto: the baseline of `onecard bench tac`.
 *
 * Standard input: rows and bytes a message (32 bits each, of this machine), the master key (16),
 * then of all rows the factors (8 each), the messages, the TACs (4 each).
 * Standard output: nanoseconds for all rows, and how many TACs were wrong.
 * Argument: pboc-3des, or the name of a cipher with 16-byte blocks in ECB as libcrypto calls it.
 *
 * The prototypes stand here so that no development package is needed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned char byte;
typedef byte des_block[8];
typedef struct { des_block subkeys[16]; } des_schedule;
void DES_set_key_unchecked(const des_block *, des_schedule *);
void DES_ecb_encrypt(const des_block *, des_block *, des_schedule *, int);
void DES_ecb3_encrypt(const des_block *, des_block *, des_schedule *, des_schedule *,
                      des_schedule *, int);

typedef struct evp_cipher_st evp_cipher;
typedef struct evp_cipher_ctx_st evp_context;
evp_cipher *EVP_CIPHER_fetch(void *, const char *, const char *);
evp_context *EVP_CIPHER_CTX_new(void);
int EVP_CIPHER_CTX_set_padding(evp_context *, int);
int EVP_EncryptInit_ex2(evp_context *, const evp_cipher *, const byte *, const byte *, const void *);
int EVP_EncryptUpdate(evp_context *, byte *, int *, const byte *, int);

enum { LONGEST = 240 };

static des_schedule left, right;
static evp_context *master_cipher, *card_cipher;

/* JR/T 0025: two blocks of triple DES derive the key, its halves are folded, CBC by single DES. */
static void pboc_tac(const byte *factor, const byte *message, size_t length, byte *tac) {
    des_block opposite, key, half, chained = {0};
    des_schedule folded;
    byte padded[LONGEST + 8] = {0};
    for (int i = 0; i < 8; i++) opposite[i] = (byte)~factor[i];
    DES_ecb3_encrypt((const des_block *)factor, &key, &left, &right, &left, 1);
    DES_ecb3_encrypt(&opposite, &half, &left, &right, &left, 1);
    for (int i = 0; i < 8; i++) key[i] ^= half[i];
    DES_set_key_unchecked(&key, &folded);
    memcpy(padded, message, length);
    padded[length] = 0x80;
    for (size_t at = 0; at <= length; at += 8) {
        for (int i = 0; i < 8; i++) chained[i] ^= padded[at + i];
        DES_ecb_encrypt(&chained, &chained, &folded, 1);
    }
    memcpy(tac, chained, 4);
}

/* NIST SP 800-38B: twice a block in GF(2^128). */
static void twice(byte *block) {
    byte overflow = block[0] >> 7;
    for (int i = 0; i < 15; i++) block[i] = (byte)(block[i] << 1 | block[i + 1] >> 7);
    block[15] = (byte)(block[15] << 1 ^ overflow * 0x87);
}

/* One block derives the key, CMAC under it. */
static void cmac_tac(const byte *factor, const byte *message, size_t length, byte *tac) {
    byte block[16], key[16], subkey[16] = {0}, chained[16] = {0}, last[16] = {0};
    size_t whole = length ? (length - 1) / 16 * 16 : 0;
    int written;
    for (int i = 0; i < 8; i++) block[i] = factor[i], block[8 + i] = (byte)~factor[i];
    EVP_EncryptUpdate(master_cipher, key, &written, block, 16);
    EVP_EncryptInit_ex2(card_cipher, NULL, key, NULL, NULL);
    EVP_EncryptUpdate(card_cipher, subkey, &written, subkey, 16);
    twice(subkey);
    memcpy(last, message + whole, length - whole);
    if (length - whole < 16) {
        last[length - whole] = 0x80;
        twice(subkey);
    }
    for (size_t at = 0; at < whole; at += 16) {
        for (int i = 0; i < 16; i++) chained[i] ^= message[at + i];
        EVP_EncryptUpdate(card_cipher, chained, &written, chained, 16);
    }
    for (int i = 0; i < 16; i++) chained[i] ^= last[i] ^ subkey[i];
    EVP_EncryptUpdate(card_cipher, chained, &written, chained, 16);
    memcpy(tac, chained, 4);
}

static void *read_all(size_t bytes) {
    void *space = malloc(bytes ? bytes : 1);
    if (space == NULL || fread(space, 1, bytes, stdin) != bytes) exit(2);
    return space;
}

static evp_context *context(const evp_cipher *cipher, const byte *key) {
    evp_context *made = EVP_CIPHER_CTX_new();
    if (made == NULL || !EVP_EncryptInit_ex2(made, cipher, key, NULL, NULL)) exit(3);
    EVP_CIPHER_CTX_set_padding(made, 0);
    return made;
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    uint32_t *sizes = read_all(2 * sizeof *sizes);
    size_t rows = sizes[0], length = sizes[1], wrong = 0;
    if (length > LONGEST) return 2;
    byte *master = read_all(16), *factors = read_all(8 * rows);
    byte *messages = read_all(length * rows), *tacs = read_all(4 * rows);
    void (*make)(const byte *, const byte *, size_t, byte *) = pboc_tac;
    if (strcmp(arguments[1], "pboc-3des") != 0) {
        evp_cipher *cipher = EVP_CIPHER_fetch(NULL, arguments[1], NULL);
        if (cipher == NULL) return 3;
        make = cmac_tac;
        master_cipher = context(cipher, master);
        card_cipher = context(cipher, master);
    }
    DES_set_key_unchecked((const des_block *)master, &left);
    DES_set_key_unchecked((const des_block *)(master + 8), &right);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (size_t row = 0; row < rows; row++) {
        byte tac[4];
        make(factors + 8 * row, messages + length * row, length, tac);
        wrong += memcmp(tac, tacs + 4 * row, 4) != 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lld %zu\n",
           (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec, wrong);
    return 0;
}
