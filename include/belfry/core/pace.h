/*
 * How long to wait: between tries after a fault, between looks for a start without an answer, between polls. Pure.
 */
#ifndef BELFRY_CORE_PACE_H
#define BELFRY_CORE_PACE_H

#include <stdint.h>

/* Full jitter, capped: a time within [base, min(cap, base * 2^(tries - 1))]; `dice` is any random number. tries ≥ 1. */
int64_t pace_backoff(int64_t base_ms, int64_t cap_ms, unsigned tries, uint64_t dice);
/* Before the n-th retry (from 1) of a run that failed: base doubled each time, up to a day, and a tenth of jitter. */
int64_t pace_retry(int64_t base_ms, unsigned n, uint64_t dice);
/* After how long the look-th look (from 1) for a start without an answer comes: 2, 5, 15, 30, 60, 60 … s. */
int64_t pace_look(unsigned look);
/* Until the next poll of a run that has run for age_ms: min soon after its start, growing to max; with up to a tenth of
 * jitter. */
int64_t pace_poll(int64_t min_ms, int64_t max_ms, int64_t age_ms, uint64_t dice);

#endif
