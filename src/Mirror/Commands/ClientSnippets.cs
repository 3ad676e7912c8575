using Mirror.Configuration;

namespace Mirror.Commands;

/// <summary>What to put into each client's own configuration so that it comes here.</summary>
public static class ClientSnippets
{
    /// <summary>Writes one snippet per client, each under the path of the file it belongs in.</summary>
    public static void Write(MirrorOptions options, TextWriter output)
    {
        var here = Here(options.Http);
        if (options.Http.Host is null && ListenAddress.Parse(options.Http.Addr).IsAnyInterface)
            output.WriteLine($"""
                # {here.Authority} is right on this machine only: put the name that clients reach it by in its place,
                # or into http.host and run this again.

                """);

        var sections = options.Proxy.RemoteUrl is { } upstream ? Mirror(here, upstream) : Registry(here);
        foreach (var (file, text) in sections)
        {
            output.WriteLine($"## {file}");
            output.WriteLine();
            output.WriteLine(text);
            output.WriteLine();
        }
    }

    /// <summary>The URL of this registry, without <c>v2/</c> and without a slash at its end.</summary>
    internal static Uri Here(HttpOptions http)
    {
        if (http.Host is { } host)
            return new Uri(host);
        var address = ListenAddress.Parse(http.Addr);
        if (address.IsAnyInterface)
            address = address with { Host = "localhost" };
        return new Uri($"http://{address}{http.Prefix.TrimEnd('/')}");
    }

    private static IEnumerable<(string File, string Text)> Mirror(Uri here, Uri upstream)
    {
        var isHub = DockerHub.Is(upstream);
        var name = isHub ? "docker.io" : upstream.Authority;
        var url = Text(here);
        var hasPath = here.AbsolutePath is not "/";
        var isPlain = here.Scheme is "http";

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

        // The image's name is written behind the location, library/ included, so nothing else belongs there.
        yield return ("/etc/containers/registries.conf.d/mirror.conf (podman, CRI-O, skopeo)", hasPath
            ? NotUnderPath(here)
            : $"""
              [[registry]]
              prefix = "{name}"
              location = "{name}"

              [[registry.mirror]]
              location = "{here.Authority}"
              insecure = {(isPlain ? "true" : "false")}
              """);

        // A path given here would be asked for behind /v2/.
        yield return ("/etc/buildkit/buildkitd.toml (BuildKit)", hasPath
            ? NotUnderPath(here)
            : $"""
              [registry."{name}"]
                mirrors = ["{here.Authority}"]
              """ + (isPlain ? "\n\n" + BuildKitPlain(here) : ""));

        yield return ("/etc/rancher/k3s/registries.yaml (k3s; RKE2: /etc/rancher/rke2/registries.yaml)", $"""
            mirrors:
              "{name}":
                endpoint:
                  - "{url}"
            """);
    }

    private static IEnumerable<(string File, string Text)> Registry(Uri here)
    {
        if (here.Scheme is "https")
        {
            yield return ("any client", $"""
                # Nothing to set: images are named {here.Authority}/<repository>, and the registry speaks https.
                """);
            yield break;
        }

        yield return ("/etc/docker/daemon.json (Docker Engine)", $$"""
            {
              "insecure-registries": ["{{here.Authority}}"]
            }
            """);

        yield return ($"/etc/containerd/certs.d/{here.Authority}/hosts.toml (containerd)", $"""
            server = "{Text(here)}"

            [host."{Text(here)}"]
              capabilities = ["pull", "resolve", "push"]
            """);

        yield return ("/etc/containers/registries.conf.d/registry.conf (podman, CRI-O, skopeo)", $"""
            [[registry]]
            location = "{here.Authority}"
            insecure = true
            """);

        yield return ("/etc/buildkit/buildkitd.toml (BuildKit)", BuildKitPlain(here));

        yield return ("/etc/rancher/k3s/registries.yaml (k3s; RKE2: /etc/rancher/rke2/registries.yaml)", $"""
            mirrors:
              "{here.Authority}":
                endpoint:
                  - "{Text(here)}"
            """);
    }

    private static string BuildKitPlain(Uri here) => $"""
        [registry."{here.Authority}"]
          http = true
        """;

    private static string NotUnderPath(Uri here) =>
        $"# Not possible while the registry is under {here.AbsolutePath}: this client puts a path behind /v2/, not before it.";

    private static string Text(Uri url) => url.AbsoluteUri.TrimEnd('/');
}
