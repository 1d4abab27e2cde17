/* clock.c - clocks, civil time as ISO-8601 text (UTC only, so no time zone data is read), and jitter.
**
** Calls the text parsers only. Pure but for the clocks; any thread.
*/
#include "base/clock.h"
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "base/text.h"

static double read_clock(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double os_clock_monotonic(void) {
  return read_clock(CLOCK_MONOTONIC);
}

double os_clock_unix(void) {
  return read_clock(CLOCK_REALTIME);
}

/* Days from 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the leap day is
** the last day of a year and month lengths follow one formula. */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
  int64_t shifted = month > 2 ? month - 3 : month + 9;
  year -= month <= 2;
  int64_t era_days = year * 365 + year / 4 - year / 100 + year / 400;
  return era_days + (153 * shifted + 2) / 5 + day - 1 - 719468;
}

void os_clock_iso(double unix_seconds, char out[OS_TIME_TEXT]) {
  const double first = -62167219200.0, last = 253402300799.999; /* years 0000 to 9999 */
  if (!(unix_seconds >= first))                                 /* also when it is not a number */
    unix_seconds = first;
  if (unix_seconds > last) unix_seconds = last;
  int64_t millis = (int64_t)llround(unix_seconds * 1000.0);
  int64_t second = millis / 1000 - (millis % 1000 < 0);
  time_t when = (time_t)second;
  struct tm civil;
  if (!gmtime_r(&when, &civil)) memset(&civil, 0, sizeof civil);
  snprintf(out, OS_TIME_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(civil.tm_year + 1900) % 10000,
           (unsigned)(civil.tm_mon + 1) % 100, (unsigned)civil.tm_mday % 100, (unsigned)civil.tm_hour % 100,
           (unsigned)civil.tm_min % 100, (unsigned)civil.tm_sec % 100,
           (unsigned)(millis - second * 1000) % 1000);
}

void os_clock_now(char out[OS_TIME_TEXT]) {
  os_clock_iso(os_clock_unix(), out);
}

/* Exactly `digits` digits at *text, moved behind them; -1 when there are fewer. */
static int take_digits(const char **text, int digits) {
  int value = 0;
  for (int i = 0; i < digits; i++, (*text)++) {
    if (!os_is_digit(**text)) return -1;
    value = value * 10 + (**text - '0');
  }
  return value;
}

static bool take_char(const char **text, char c) {
  if (**text != c) return false;
  (*text)++;
  return true;
}

static bool take_date(const char **text, int64_t *days) {
  static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int year = take_digits(text, 4);
  if (year < 0 || !take_char(text, '-')) return false;
  int month = take_digits(text, 2);
  if (month < 1 || month > 12 || !take_char(text, '-')) return false;
  int day = take_digits(text, 2);
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (day < 1 || day > length[month - 1] + (month == 2 && leap)) return false;
  *days = days_from_civil(year, month, day);
  return true;
}

/* hh:mm[:ss[.fraction]]; second 60 is a leap second (RFC 3339 section 5.6) and counts as the next one. */
static bool take_time(const char **text, double *seconds) {
  int hour = take_digits(text, 2);
  if (hour < 0 || hour > 23 || !take_char(text, ':')) return false;
  int minute = take_digits(text, 2);
  if (minute < 0 || minute > 59) return false;
  *seconds = hour * 3600 + minute * 60;
  if (!take_char(text, ':')) return true;
  int second = take_digits(text, 2);
  if (second < 0 || second > 60) return false;
  *seconds += second;
  if (!take_char(text, '.') && !take_char(text, ',')) return true;
  if (!os_is_digit(**text)) return false;
  for (double unit = 0.1; os_is_digit(**text); unit /= 10, (*text)++)
    *seconds += unit * (**text - '0');
  return true;
}

/* Nothing or Z is UTC; +hh:mm or -hh:mm is converted. */
static bool take_zone(const char **text, double *offset) {
  *offset = 0;
  if (!**text || take_char(text, 'Z') || take_char(text, 'z')) return true;
  double sign = **text == '-' ? -1 : 1;
  if (!take_char(text, '+') && !take_char(text, '-')) return false;
  int hour = take_digits(text, 2);
  if (hour < 0 || hour > 23) return false;
  take_char(text, ':');
  int minute = take_digits(text, 2);
  if (minute < 0 || minute > 59) return false;
  *offset = sign * (hour * 3600 + minute * 60);
  return true;
}

bool os_clock_parse_iso(const char *text, double *unix_seconds) {
  int64_t days = 0;
  double seconds = 0, offset = 0;
  if (!take_date(&text, &days)) return false;
  if (*text) {
    if (!take_char(&text, 'T') && !take_char(&text, 't') && !take_char(&text, ' ')) return false;
    if (!take_time(&text, &seconds) || !take_zone(&text, &offset) || *text) return false;
  }
  *unix_seconds = (double)days * 86400.0 + seconds - offset;
  return true;
}

void os_clock_sleep_ms(unsigned milliseconds) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += (time_t)(milliseconds / 1000);
  until.tv_nsec += (long)(milliseconds % 1000) * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
  }
}

/* From the kernel, or from what differs between processes and moments. */
static uint64_t random_seed(void) {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    seed = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
  }
  return seed ? seed : 1;
}

/* One state for all threads: a thread's own would be allocated by the dynamic linker at its first use, which ends
** the process when there is no memory. */
double os_random_unit(void) {
  static atomic_uint_fast64_t state;
  uint_fast64_t none = 0;
  if (!atomic_load(&state)) atomic_compare_exchange_strong(&state, &none, random_seed());
  uint64_t z = atomic_fetch_add(&state, 0x9e3779b97f4a7c15u); /* splitmix64 (Steele, Lea, Flood 2014) */
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return (double)(z >> 11) / 9007199254740992.0; /* 53 bits */
}
