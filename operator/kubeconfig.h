// SPDX-License-Identifier: Apache-2.0
// Where the API server is and who we are: from the service account in a cluster, or from kubeconfig files
// (Kubernetes, "Organizing Cluster Access Using kubeconfig Files"). Says where credentials are; reading them,
// again and again, is credentials.h's work.
//
// Carried out: server, certificate-authority[-data], tls-server-name, insecure-skip-tls-verify; token,
// tokenFile, client-certificate[-data], client-key[-data]; contexts and current-context; a list of files in
// KUBECONFIG (the first that sets a name wins). Refused with a clear error, because ignoring them would
// connect as somebody else or elsewhere: exec, auth-provider, username and password, proxy-url,
// impersonation.
#ifndef KUBECANARY_OPERATOR_KUBECONFIG_H
#define KUBECANARY_OPERATOR_KUBECONFIG_H

#include "lib/err.h"
#include "lib/limits.h"

struct kubeconfig_pem { // at most one of the two
    char *file;         // read again while we run
    char *data;         // PEM text
};

struct kubeconfig {
    char *server; // "https://host:port" or with a path prefix; no slash at the end
    char *server_name;
    bool insecure;
    struct kubeconfig_pem ca, cert, key;
    char *token_file; // wins over token
    char *token;
    char namespace[LIMIT_NAMESPACE + 1]; // of the context, or of our Pod
};

struct kubeconfig_env {        // strings borrowed; NULL or "": not set
    const char *flag;          // --kubeconfig
    const char *list;          // $KUBECONFIG
    const char *home;          // $HOME
    const char *host, *port;   // $KUBERNETES_SERVICE_HOST, $KUBERNETES_SERVICE_PORT
    const char *pod_namespace; // $POD_NAMESPACE
    const char *account;       // directory of the service account's files
};

// The process's environment, and the flag.
struct kubeconfig_env kubeconfig_environment(const char *flag);

// In this order: the flag's file, KUBECONFIG's files, the service account, ~/.kube/config. EINVAL (err.path:
// the field, if there is one) with the file's name in the message; ENOENT when there is nothing at all.
// Nothing of a token or key is ever put into an error.
MUST_USE int kubeconfig_load(const struct kubeconfig_env *env, struct kubeconfig *ret, struct err *e);
void kubeconfig_release(struct kubeconfig *k);
#define CLEANUP_KUBECONFIG CLEANUP(kubeconfig_release)

#endif
