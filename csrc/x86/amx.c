/* One product of tiles against known numbers, before any is believed.
 *
 * CPUID can promise tiles, and the system permission, where a hypervisor or an
 * emulator has only half of them. So the whole way is tried once: configure,
 * load, multiply, store, release. The numbers are small and whole, every sum
 * of them is exact in any order, and no two of the results' 16 rows or columns
 * are alike, so that a tile of the wrong shape or order cannot pass. */
#include "amx.h"
#include "x86.h"

/* A whole number in [-9, 9], as a bfloat16. */
static uint16_t bf16_of(int number)
{
    const float x = (float)number;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static int left(int m, int k)
{
    return (7 * m + 3 * k + m * k) % 19 - 9;
}

static int right(int k, int n)
{
    return (5 * n + 11 * k + 2 * n * k) % 17 - 8;
}

int pyxglm_amx_works(void)
{
    uint16_t a[16][32], b[16][32];
    float c[16][16];
    for (int m = 0; m < 16; m++)
        for (int k = 0; k < 32; k++)
            a[m][k] = bf16_of(left(m, k));
    for (int k = 0; k < 32; k++)
        for (int n = 0; n < 16; n++)
            b[k / 2][2 * n + k % 2] = bf16_of(right(k, n));
    for (int m = 0; m < 16; m++)
        for (int n = 0; n < 16; n++)
            c[m][n] = (float)(m - n);

    tiles_begin();
    TILE_LOAD(0, c, sizeof *c);
    TILE_LOAD(6, a, sizeof *a);
    TILE_LOAD(7, b, sizeof *b);
    TILE_PRODUCT(0, 6, 7);
    TILE_STORE(0, c, sizeof *c);
    tiles_end();

    for (int m = 0; m < 16; m++)
        for (int n = 0; n < 16; n++) {
            int sum = m - n;
            for (int k = 0; k < 32; k++)
                sum += left(m, k) * right(k, n);
            if (c[m][n] != (float)sum)
                return 0;
        }
    return 1;
}
