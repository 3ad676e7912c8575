using Mirror.Configuration;

namespace Mirror.Web;

/// <summary>The settings that make each client use this registry.</summary>
public static class ClientSnippets
{
    private const string Docker = "/etc/docker/daemon.json (Docker Engine)";
    private const string Containers = "/etc/containers/registries.conf.d/mirror.conf (podman, CRI-O, skopeo)";
    private const string BuildKit = "/etc/buildkit/buildkitd.toml (BuildKit)";

    /// <summary>Writes one snippet for each client, under the path of the file that it belongs to.</summary>
    public static void Write(MirrorOptions options, TextWriter output)
    {
        if (NoteOf(options) is { } note)
            output.WriteLine($"# {note.ReplaceLineEndings("\n# ")}\n");
        foreach (var (file, text) in Of(options))
        {
            output.WriteLine($"## {file}");
            output.WriteLine();
            output.WriteLine(text);
            output.WriteLine();
        }
    }

    /// <summary>A file, and its text, for each client.</summary>
    public static IReadOnlyList<(string File, string Text)> Of(MirrorOptions options)
    {
        var registry = UrlOf(options.Http);
        Mirrored[] upstreams =
        [
            .. options.Proxy.AllUpstreams().Select(upstream => new Mirrored(
                upstream.Options.EffectiveName, upstream.Options.RemoteUrl!, upstream.Options == options.Proxy ? null : upstream.PathName)),
        ];
        return [.. upstreams is [] ? Registry(registry) : Mirror(registry, upstreams)];
    }

    /// <summary>What to change in the files before they are of use; null where that is nothing.</summary>
    public static string? NoteOf(MirrorOptions options) =>
        options.Http.Host is null && options.Http.Listen is { IsAnyInterface: true } or { Socket: not null }
            ? $"""
                {UrlOf(options.Http).Authority} works on this machine only: replace it by the name of this machine that clients know,
                or set http.host and run this again.
                """
            : null;

    /// <summary>The URL of this registry, without <c>v2/</c> and without a slash at its end.</summary>
    private static Uri UrlOf(HttpOptions http)
    {
        if (http.Host is { } host)
            return new Uri(host);
        var address = http.Listen;
        // Clients reach the proxy in front of the socket.
        if (address.Socket is not null)
            return new Uri($"http://localhost{http.Prefix.TrimEnd('/')}");
        if (address.IsAnyInterface)
            address = address with { Host = "localhost" };
        return new Uri($"http://{address}{http.Prefix.TrimEnd('/')}");
    }

    private static IEnumerable<(string File, string Text)> Mirror(Uri registry, Mirrored[] upstreams)
    {
        var (url, isPlain) = (Text(registry), registry.Scheme is "http");
        // The clients that know no other place for a path than after /v2/.
        var isUnderPath = registry.AbsolutePath is not "/";
        var hub = Array.Find(upstreams, upstream => DockerHub.Is(upstream.Url) && upstream.Prefix is null);

        yield return (Docker, hub is not null
            ? $$"""
              {
                "registry-mirrors": ["{{url}}"]
              }
              """
            : $"""
              # Docker's own setting is for Docker Hub only. With the containerd image store, use
              # /etc/docker/certs.d/{upstreams[0].Name}/hosts.toml with the text for containerd below.
              """);

        foreach (var upstream in upstreams)
            yield return ($"/etc/containerd/certs.d/{upstream.Name}/hosts.toml (containerd)", $"""
                # Its config.toml names the folder: config_path = "/etc/containerd/certs.d" below
                # [plugins."io.containerd.cri.v1.images".registry], with containerd 1 [plugins."io.containerd.grpc.v1.cri".registry].
                server = "{Text(upstream.Url)}"

                [host."{url}"]
                  capabilities = ["pull", "resolve"]
                """);

        // The client appends the name of the image, library/ included, to the location.
        yield return (Containers, isUnderPath
            ? NotUnderPath(registry)
            : string.Join("\n\n", upstreams.Select(upstream => $"""
              [[registry]]
              prefix = "{upstream.Name}"
              location = "{upstream.Name}"

              [[registry.mirror]]
              location = "{registry.Authority}{(upstream.Prefix is { } prefix ? $"/{prefix}" : "")}"
              insecure = {(isPlain ? "true" : "false")}
              """)));

        var buildKit = isUnderPath ? NotUnderPath(registry)
            : string.Join("\n\n", upstreams.Select(upstream => $"""
              [registry."{upstream.Name}"]
                mirrors = ["{registry.Authority}"]
              """)) + (isPlain ? "\n\n" + BuildKitPlain(registry) : "");
        yield return (BuildKit, buildKit);

        foreach (var file in Kubernetes(upstreams.Select(upstream => upstream.Name), url))
            yield return file;
        yield return GitHub(
            hub is null ? "" : $"""

            # The Docker Engine of the runner's machine pulls the containers and services of jobs: it needs the daemon.json above.
            # Runners in Kubernetes (Actions Runner Controller): add this to the args of the container "dind":
            #   - --registry-mirror={url}
            """,
            buildKit);
        yield return GitLab(
            hub is null
                ? "# Docker's own setting is for Docker Hub only: let jobs build with the settings for BuildKit above."
                : GitLabService("--registry-mirror", url));
    }

    private static IEnumerable<(string File, string Text)> Registry(Uri registry)
    {
        if (registry.Scheme is "https")
        {
            yield return ("any client", $"""
                # Nothing to set: images are named {registry.Authority}/<repository>, and the registry speaks https.
                """);
            yield break;
        }

        yield return (Docker, $$"""
            {
              "insecure-registries": ["{{registry.Authority}}"]
            }
            """);

        yield return ($"/etc/containerd/certs.d/{registry.Authority}/hosts.toml (containerd)", $"""
            server = "{Text(registry)}"

            [host."{Text(registry)}"]
              capabilities = ["pull", "resolve", "push"]
            """);

        yield return (Containers, $"""
            [[registry]]
            location = "{registry.Authority}"
            insecure = true
            """);

        yield return (BuildKit, BuildKitPlain(registry));
        foreach (var file in Kubernetes([registry.Authority], Text(registry)))
            yield return file;
        yield return GitHub(
            $"""

            # The Docker Engine of the runner's machine needs the daemon.json above.
            # Runners in Kubernetes (Actions Runner Controller): add this to the args of the container "dind":
            #   - --insecure-registry={registry.Authority}
            """,
            BuildKitPlain(registry));
        yield return GitLab(GitLabService("--insecure-registry", registry.Authority));
    }

    private static IEnumerable<(string File, string Text)> Kubernetes(IEnumerable<string> names, string url)
    {
        var rancher = "mirrors:" + string.Concat(names.Select(name => $"""

              "{name}":
                endpoint:
                  - "{url}"
            """));
        yield return ("/etc/rancher/k3s/registries.yaml (k3s; RKE2: /etc/rancher/rke2/registries.yaml)", rancher);
        yield return ("registries.yaml (k3d cluster create --registry-config registries.yaml)", rancher);
        yield return ("cluster.yaml (kind create cluster --config cluster.yaml)", """
            # The nodes read the files for containerd above. kind 0.27 and later need no patch.
            kind: Cluster
            apiVersion: kind.x-k8s.io/v1alpha4
            containerdConfigPatches:
            - |-
              [plugins."io.containerd.grpc.v1.cri".registry]
                config_path = "/etc/containerd/certs.d"
            nodes:
            - role: control-plane
              extraMounts:
              - hostPath: /etc/containerd/certs.d
                containerPath: /etc/containerd/certs.d
            """);
        yield return ("mirror.yaml (Talos: talosctl patch machineconfig --patch @mirror.yaml)", """
            machine:
              registries:
                mirrors:
            """ + string.Concat(names.Select(name => $"""

                  "{name}":
                    endpoints:
                      - "{url}"
            """)));
    }

    private static (string File, string Text) GitHub(string more, string buildKit) => (
        ".github/workflows/*.yml (GitHub Actions, on runners of your own)",
        $"""
        # Where a job has docker/setup-buildx-action, its BuildKit needs its own settings:{more}
        - uses: docker/setup-buildx-action@v3
          with:
            buildkitd-config-inline: |
              {buildKit.ReplaceLineEndings("\n      ")}
        """);

    private static (string File, string Text) GitLab(string text) => ("/etc/gitlab-runner/config.toml (GitLab Runner)", text);

    private static string GitLabService(string option, string value) => $"""
        # The Docker Engine of the runner's machine pulls the images of jobs and services: it needs the daemon.json above.
        # Jobs with Docker-in-Docker need this. With the Kubernetes executor, write "kubernetes" for "docker" in both headings.
        [[runners]]
          [runners.docker]
            privileged = true
            [[runners.docker.services]]
              name = "docker:dind"
              alias = "docker"
              command = ["{option}", "{value}"]
        """;

    private static string BuildKitPlain(Uri registry) => $"""
        [registry."{registry.Authority}"]
          http = true
        """;

    private static string NotUnderPath(Uri registry) =>
        $"# Not possible while the registry is under {registry.AbsolutePath}: this client puts a path after /v2/, not before it.";

    private static string Text(Uri url) => url.AbsoluteUri.TrimEnd('/');

    /// <param name="Name">The name that clients use for the registry.</param>
    /// <param name="Prefix">What stands before the names of its images here; null where nothing does.</param>
    private sealed record Mirrored(string Name, Uri Url, string? Prefix);
}
