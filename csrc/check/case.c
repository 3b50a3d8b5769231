/* Reading cases. Every length is checked: a damaged file ends in a sentence. */
#include "case.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define NAME_BYTES 24
#define KIND_BYTES 8
#define HEAD_BYTES (NAME_BYTES + KIND_BYTES + 8)

static const char magic[8] = {'P', 'Y', 'X', 'G', 'L', 'M', '0', '1'};

void fail(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s\n", path, what);
    exit(2);
}

case_file case_read(const char *path)
{
    case_file file = {path, NULL, 0};
    struct stat about;
    if (!stat(path, &about) && !S_ISREG(about.st_mode))
        fail(path, "is no file");
    FILE *stream = fopen(path, "rb");
    if (!stream)
        fail(path, "cannot be opened");
    if (fseek(stream, 0, SEEK_END) || (file.size = ftell(stream)) < 0 ||
        fseek(stream, 0, SEEK_SET))
        fail(path, "cannot be read");
    file.bytes = malloc((size_t)file.size + 1);
    if (!file.bytes)
        fail(path, "there is no memory for it");
    if (fread(file.bytes, 1, (size_t)file.size, stream) != (size_t)file.size)
        fail(path, "cannot be read");
    fclose(stream);
    if (file.size < (int64_t)sizeof magic || memcmp(file.bytes, magic, sizeof magic))
        fail(path, "is not a case: expected the bytes PYXGLM01 first");
    return file;
}

void case_free(case_file *file)
{
    free(file->bytes);
    file->bytes = NULL;
}

/* The record at `at`, whose end goes to `*next`; its head is at `*head`. */
static record record_at(const case_file *file, int64_t at, const char **head, int64_t *next)
{
    record found;
    if (file->size - at < HEAD_BYTES)
        fail(file->path, "ends inside a record");
    *head = file->bytes + at;
    memcpy(&found.bytes, *head + NAME_BYTES + KIND_BYTES, 8);
    if (found.bytes < 0 || found.bytes > file->size - at - HEAD_BYTES)
        fail(file->path, "ends inside a record");
    found.content = *head + HEAD_BYTES;
    *next = at + HEAD_BYTES + (found.bytes + 7) / 8 * 8;
    return found;
}

record case_find(const case_file *file, const char *kind, const char *name)
{
    int64_t at = sizeof magic;
    while (at < file->size) {
        const char *head;
        const record found = record_at(file, at, &head, &at);
        if (!strncmp(head, name, NAME_BYTES) && !strncmp(head + NAME_BYTES, kind, KIND_BYTES))
            return found;
    }
    return (record){NULL, 0};
}

const char *case_op(const case_file *file)
{
    static const char *const ops[] = {"embed", "layer_norm", "softmax", "log_softmax", "gelu",
                                      "gelu_tanh", "relu", "silu", "linear", "linear_coarse",
                                      "attention", "cache_append", "head", "head_coarse"};
    const char *head;
    int64_t next;
    const record first = record_at(file, sizeof magic, &head, &next);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if ((size_t)first.bytes == strlen(ops[i]) && !memcmp(first.content, ops[i], strlen(ops[i])))
            return ops[i];
    fail(file->path, "is a case of an unknown operation");
    return NULL;
}

int case_dtype(const case_file *file)
{
    static const char *const names[] = {"float32", "float16", "bfloat16", "int8"};
    for (int dtype = 0; dtype < PYXGLM_DTYPES; dtype++)
        if (case_find(file, "op", names[dtype]).content)
            return dtype;
    fail(file->path, "is a case of an unknown dtype");
    return 0;
}

int64_t case_number(const case_file *file, const char *name)
{
    const record found = case_find(file, "number", name);
    if (!found.content || found.bytes != 8)
        fail(file->path, name);
    int64_t value;
    memcpy(&value, found.content, 8);
    return value;
}

double case_real(const case_file *file, const char *name)
{
    const record found = case_find(file, "real", name);
    if (!found.content || found.bytes != 8)
        fail(file->path, name);
    double value;
    memcpy(&value, found.content, 8);
    return value;
}
