/* case.h - cases that Python wrote (pyxglm/check/files.py documents the format). */
#ifndef PYXGLM_CASE_H
#define PYXGLM_CASE_H

#include "../internal.h"

/* A file in memory. */
typedef struct case_file {
    const char *path;
    char *bytes;
    int64_t size;
} case_file;

/* One record: `content` is inside the file's memory. */
typedef struct record {
    const char *content;
    int64_t bytes;
} record;

/* Reads a file, or ends the program with a sentence on standard error. */
case_file case_read(const char *path);
void case_free(case_file *file);

/* The operation's name and the stored dtype (one of the enum in pyxglm.h). */
const char *case_op(const case_file *file);
int case_dtype(const case_file *file);

/* The record of a kind and a name; content NULL if there is none. */
record case_find(const case_file *file, const char *kind, const char *name);

/* A number; it must be there. */
int64_t case_number(const case_file *file, const char *name);
double case_real(const case_file *file, const char *name);

/* Ends the program with a sentence on standard error. */
void fail(const char *path, const char *what);

#endif
