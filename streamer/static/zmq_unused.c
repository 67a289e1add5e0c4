/* What a static link of Debian's libzmq.a asks for and longhaul never reaches: the NORM and PGM multicast transports
   and the GSSAPI mechanism (Debian ships no static libgssapi). We speak ipc:// and, on a LAN, tcp:// with CURVE.
   Calling one of these is a bug and stops the program. Only the statically linked streamer uses this file. */
#include <stdlib.h>

#define UNREACHABLE(name)                \
  __attribute__((noreturn)) void name(void); \
  void name(void) { abort(); }

UNREACHABLE(NormCreateInstance)
UNREACHABLE(NormCreateSession)
UNREACHABLE(NormDestroyInstance)
UNREACHABLE(NormDestroySession)
UNREACHABLE(NormGetDescriptor)
UNREACHABLE(NormGetNextEvent)
UNREACHABLE(NormGetRandomSessionId)
UNREACHABLE(NormIsUnicastAddress)
UNREACHABLE(NormNodeDelete)
UNREACHABLE(NormObjectGetType)
UNREACHABLE(NormObjectGetUserData)
UNREACHABLE(NormObjectSetUserData)
UNREACHABLE(NormSetAutoParity)
UNREACHABLE(NormSetCongestionControl)
UNREACHABLE(NormSetDefaultSyncPolicy)
UNREACHABLE(NormSetDefaultUnicastNack)
UNREACHABLE(NormSetEcnSupport)
UNREACHABLE(NormSetLoopback)
UNREACHABLE(NormSetMulticastInterface)
UNREACHABLE(NormSetRxPortReuse)
UNREACHABLE(NormSetTOS)
UNREACHABLE(NormSetTTL)
UNREACHABLE(NormSetTxRate)
UNREACHABLE(NormStartReceiver)
UNREACHABLE(NormStartSender)
UNREACHABLE(NormStopInstance)
UNREACHABLE(NormStopReceiver)
UNREACHABLE(NormStopSender)
UNREACHABLE(NormStreamFlush)
UNREACHABLE(NormStreamOpen)
UNREACHABLE(NormStreamRead)
UNREACHABLE(NormStreamSeekMsgStart)
UNREACHABLE(NormStreamSetPushEnable)
UNREACHABLE(NormStreamWrite)
UNREACHABLE(gss_accept_sec_context)
UNREACHABLE(gss_acquire_cred)
UNREACHABLE(gss_delete_sec_context)
UNREACHABLE(gss_display_name)
UNREACHABLE(gss_import_name)
UNREACHABLE(gss_init_sec_context)
UNREACHABLE(gss_release_buffer)
UNREACHABLE(gss_release_cred)
UNREACHABLE(gss_release_name)
UNREACHABLE(gss_unwrap)
UNREACHABLE(gss_wrap)
UNREACHABLE(pgm_bind3)
UNREACHABLE(pgm_close)
UNREACHABLE(pgm_connect)
UNREACHABLE(pgm_error_free)
UNREACHABLE(pgm_free)
UNREACHABLE(pgm_freeaddrinfo)
UNREACHABLE(pgm_getaddrinfo)
UNREACHABLE(pgm_getsockopt)
UNREACHABLE(pgm_gsi_create_from_data)
UNREACHABLE(pgm_recvmsgv)
UNREACHABLE(pgm_send)
UNREACHABLE(pgm_setsockopt)
UNREACHABLE(pgm_socket)

/* Every zmq context starts and ends PGM, used or not. */
int pgm_init(void** error);
int pgm_init(void** error) {
  (void)error;
  return 1;
}
int pgm_shutdown(void);
int pgm_shutdown(void) { return 1; }

/* Handles of NORM objects; nothing compares with them once no NORM socket can exist. */
extern const void* const NORM_INSTANCE_INVALID;
const void* const NORM_INSTANCE_INVALID = 0;
extern const void* const NORM_NODE_ANY;
const void* const NORM_NODE_ANY = 0;
extern const void* const NORM_OBJECT_INVALID;
const void* const NORM_OBJECT_INVALID = 0;
extern const void* const NORM_SESSION_INVALID;
const void* const NORM_SESSION_INVALID = 0;
extern const void* const GSS_C_NT_HOSTBASED_SERVICE;
const void* const GSS_C_NT_HOSTBASED_SERVICE = 0;
extern const void* const GSS_C_NT_USER_NAME;
const void* const GSS_C_NT_USER_NAME = 0;
