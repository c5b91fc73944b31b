dnl Probes for compiler and linker flags: each flag is taken when the compiler and the linker take it without a word.

AC_DEFUN([BELFRY_TRY_CFLAG], [
  AC_MSG_CHECKING([whether $CC takes $2])
  belfry_saved_cflags=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  dnl Compiled and linked apart: what only the compiler would pass over in silence, it says when it links not.
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]], [[char b[8]; memset(b, 0, sizeof b); return b[0];]])],
    [AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [belfry_takes=yes], [belfry_takes=no])], [belfry_takes=no])
  AC_MSG_RESULT([$belfry_takes])
  AS_IF([test $belfry_takes = yes], [$1="$$1 $2"])
  CFLAGS=$belfry_saved_cflags
])

AC_DEFUN([BELFRY_TRY_LDFLAG], [
  AC_MSG_CHECKING([whether the linker takes $2])
  belfry_saved_ldflags=$LDFLAGS
  LDFLAGS="$LDFLAGS -Werror $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes]); $1="$$1 $2"], [AC_MSG_RESULT([no])])
  LDFLAGS=$belfry_saved_ldflags
])

AC_DEFUN([BELFRY_WARNINGS], [
  m4_foreach_w([flag], [-Wall -Wextra -Wconversion -Wshadow -Wformat=2 -Wundef -Wpointer-arith -Wwrite-strings
      -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla -Wimplicit-fallthrough -Wcast-align
      -Wduplicated-cond -Wlogical-op -Wtrampolines -Wbidi-chars=any -Werror=implicit -Werror=incompatible-pointer-types
      -Werror=int-conversion], [BELFRY_TRY_CFLAG([WARN_CFLAGS], flag)])
  AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
  AC_SUBST([WARN_CFLAGS])
])

dnl Sanitizers and coverage want to see the plain program: hardening is left out with them.
AC_DEFUN([BELFRY_HARDENING], [
  AS_IF([test "x$enable_hardening" != xno && test "x$enable_asan$enable_ubsan$enable_coverage$enable_fuzzers" = x], [
    dnl FORTIFY needs an optimising build and the definition must be taken back first.
    BELFRY_TRY_CFLAG([HARDEN_CFLAGS], [-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3])
    m4_foreach_w([flag], [-fstack-protector-strong -fstack-clash-protection -fcf-protection=full
        -mbranch-protection=standard -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks -fno-strict-overflow
        -fno-strict-aliasing -fstrict-flex-arrays=3 -fzero-init-padding-bits=all], [BELFRY_TRY_CFLAG([HARDEN_CFLAGS], flag)])
    m4_foreach_w([flag], [-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,nodlopen -Wl,--as-needed],
      [BELFRY_TRY_LDFLAG([HARDEN_LDFLAGS], flag)])
    BELFRY_TRY_CFLAG([PIE_CFLAGS], [-fPIE])
    BELFRY_TRY_LDFLAG([PIE_LDFLAGS], [-pie])
  ])
  AC_SUBST([HARDEN_CFLAGS]) AC_SUBST([HARDEN_LDFLAGS]) AC_SUBST([PIE_CFLAGS]) AC_SUBST([PIE_LDFLAGS])
])

AC_DEFUN([BELFRY_SANITIZERS], [
  AS_IF([test "x$enable_asan" = xyes], [SAN_CFLAGS="$SAN_CFLAGS -fsanitize=address -fno-omit-frame-pointer"])
  AS_IF([test "x$enable_ubsan" = xyes], [SAN_CFLAGS="$SAN_CFLAGS -fsanitize=undefined -fno-sanitize-recover=undefined"])
  AS_IF([test "x$enable_coverage" = xyes], [SAN_CFLAGS="$SAN_CFLAGS --coverage -O0"])
  AS_IF([test "x$enable_fuzzers" = xyes], [SAN_CFLAGS="$SAN_CFLAGS -fsanitize=fuzzer-no-link,address,undefined"])
  AC_SUBST([SAN_CFLAGS])
])

dnl A small program that is started for every run: static and position independent, if the C library can.
AC_DEFUN([BELFRY_STATIC], [
  AS_IF([test "x$enable_asan$enable_ubsan$enable_coverage$enable_fuzzers" = x], [
    BELFRY_TRY_LDFLAG([STATIC_LDFLAGS], [-static-pie])
  ])
  AS_IF([test "x$STATIC_LDFLAGS" = x], [STATIC_LDFLAGS=$PIE_LDFLAGS])
  AC_SUBST([STATIC_LDFLAGS])
])
