using Mirror.Configuration;

namespace Mirror.Web;

/// <summary>The settings that make each client use this registry.</summary>
public static class ClientSnippets
{
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
        return [.. options.Proxy.RemoteUrl is { } upstream ? Mirror(registry, upstream) : Registry(registry)];
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

    private static IEnumerable<(string File, string Text)> Mirror(Uri registry, Uri upstream)
    {
        var isHub = DockerHub.Is(upstream);
        var name = isHub ? "docker.io" : upstream.Authority;
        var url = Text(registry);
        var hasPath = registry.AbsolutePath is not "/";
        var isPlain = registry.Scheme is "http";

        yield return ("/etc/docker/daemon.json (Docker Engine)", isHub
            ? $$"""
              {
                "registry-mirrors": ["{{url}}"]
              }
              """
            : $"""
              # Docker's own setting is for Docker Hub only. With the containerd image store, use
              # /etc/docker/certs.d/{name}/hosts.toml with the text for containerd below.
              """);

        yield return ($"/etc/containerd/certs.d/{name}/hosts.toml (containerd)", $"""
            server = "{Text(upstream)}"

            [host."{url}"]
              capabilities = ["pull", "resolve"]
            """);

        // The client appends the name of the image, library/ included, to the location.
        yield return ("/etc/containers/registries.conf.d/mirror.conf (podman, CRI-O, skopeo)", hasPath
            ? NotUnderPath(registry)
            : $"""
              [[registry]]
              prefix = "{name}"
              location = "{name}"

              [[registry.mirror]]
              location = "{registry.Authority}"
              insecure = {(isPlain ? "true" : "false")}
              """);

        // The client would put a path after /v2/.
        yield return ("/etc/buildkit/buildkitd.toml (BuildKit)", hasPath
            ? NotUnderPath(registry)
            : $"""
              [registry."{name}"]
                mirrors = ["{registry.Authority}"]
              """ + (isPlain ? "\n\n" + BuildKitPlain(registry) : ""));

        yield return ("/etc/rancher/k3s/registries.yaml (k3s; RKE2: /etc/rancher/rke2/registries.yaml)", $"""
            mirrors:
              "{name}":
                endpoint:
                  - "{url}"
            """);
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

        yield return ("/etc/docker/daemon.json (Docker Engine)", $$"""
            {
              "insecure-registries": ["{{registry.Authority}}"]
            }
            """);

        yield return ($"/etc/containerd/certs.d/{registry.Authority}/hosts.toml (containerd)", $"""
            server = "{Text(registry)}"

            [host."{Text(registry)}"]
              capabilities = ["pull", "resolve", "push"]
            """);

        yield return ("/etc/containers/registries.conf.d/registry.conf (podman, CRI-O, skopeo)", $"""
            [[registry]]
            location = "{registry.Authority}"
            insecure = true
            """);

        yield return ("/etc/buildkit/buildkitd.toml (BuildKit)", BuildKitPlain(registry));

        yield return ("/etc/rancher/k3s/registries.yaml (k3s; RKE2: /etc/rancher/rke2/registries.yaml)", $"""
            mirrors:
              "{registry.Authority}":
                endpoint:
                  - "{Text(registry)}"
            """);
    }

    private static string BuildKitPlain(Uri registry) => $"""
        [registry."{registry.Authority}"]
          http = true
        """;

    private static string NotUnderPath(Uri registry) =>
        $"# Not possible while the registry is under {registry.AbsolutePath}: this client puts a path after /v2/, not before it.";

    private static string Text(Uri url) => url.AbsoluteUri.TrimEnd('/');
}
