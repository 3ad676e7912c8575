using System.Globalization;
using Mirror.Configuration.Reading;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Old;

/// <summary>The variables of docker-registry 0.x that no file names: they are about its process.</summary>
internal static class OldProcess
{
    /// <summary>Variables that look like those of today, and are not.</summary>
    public static readonly IReadOnlySet<string> Variables = new HashSet<string> { "REGISTRY_HOST", "REGISTRY_PORT" };

    private static readonly (string Name, string Why)[] WithoutEffect =
    [
        ("GUNICORN_WORKERS", "one process serves all requests"),
        ("GUNICORN_SILENT_TIMEOUT",
            "a request has no time limit; http.idle_timeout is about clients that send nothing"),
        ("GUNICORN_USER", "the image runs as the owner of the storage folder"),
        ("GUNICORN_GROUP", "the image runs as the owner of the storage folder"),
        ("GUNICORN_ACCESS_LOG_FILE", "the access log is on standard output"),
        ("GUNICORN_ERROR_LOG_FILE", "the log is on standard error"),
    ];

    public static void Translate(OldSettings old, IReadOnlyDictionary<string, string> environment)
    {
        Listen(old, environment);
        if (OldFile.Value(environment, "GUNICORN_GRACEFUL_TIMEOUT") is { } drain)
        {
            old.Set("http.draintimeout", drain);
            old.Say("GUNICORN_GRACEFUL_TIMEOUT", drain, OldKeyFate.Taken, "http.draintimeout");
        }
        if (OldFile.Value(environment, "GUNICORN_OPTS") is { } options)
            Options(old, options);
        foreach (var (name, why) in WithoutEffect)
            if (OldFile.Value(environment, name) is { } value)
                old.Say(name, value, OldKeyFate.WithoutEffect, why);
    }

    private static void Listen(OldSettings old, IReadOnlyDictionary<string, string> environment)
    {
        var (host, port) = (OldFile.Value(environment, "REGISTRY_HOST"), OldFile.Value(environment, "REGISTRY_PORT"));
        var isPort = port is not null && ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out _);
        if (host is not null || isPort)
        {
            var inBrackets = host?.Contains(':', StringComparison.Ordinal) == true ? $"[{host}]" : host;
            old.Set("http.addr", $"{inBrackets}:{(isPort ? port : "5000")}");
        }
        if (host is not null)
            old.Say("REGISTRY_HOST", host, OldKeyFate.Taken, "http.addr");
        if (port is not null)
            old.Say("REGISTRY_PORT", port, isPort ? OldKeyFate.Taken : OldKeyFate.WithoutEffect,
                isPort ? "http.addr" : "it is no port: Kubernetes sets it for a service of the name registry");
    }

    // To take plain HTTP where TLS was set up would show passwords to the network.
    private static void Options(OldSettings old, string text)
    {
        var words = Words(text);
        List<string> taken = [], others = [];
        for (var i = 0; i < words.Count; i++)
        {
            var word = words[i];
            var (name, value) = word.Split('=', 2) is [var left, var right] ? (left, right)
                : i + 1 < words.Count && !words[i + 1].StartsWith('-') ? (word, words[++i])
                : (word, "");
            if (name switch
            {
                "--certfile" => "http.tls.certificate",
                "--keyfile" => "http.tls.key",
                "--ca-certs" => "http.tls.clientcas",
                "--bind" or "-b" => "http.addr",
                "--graceful-timeout" => "http.draintimeout",
                _ => null,
            } is { } path)
            {
                old.Set(path, value);
                taken.Add(path);
            }
            else
                others.Add(name);
        }
        var rest = others.Count > 0 ? $"without effect, since there is no gunicorn: {string.Join(" ", others)}" : "";
        old.Say("GUNICORN_OPTS", text, taken.Count > 0 ? OldKeyFate.Taken : OldKeyFate.WithoutEffect,
            taken.Count == 0 ? "there is no gunicorn" : string.Join("; ", taken.Append(rest).Where(part => part.Length > 0)));
    }

    // [--preload, --certfile=x]
    private static List<string> Words(string text)
    {
        try
        {
            if (YamlText.Parse(text) is YamlSequenceNode list)
                return [.. list.Children.OfType<YamlScalarNode>().Select(word => word.Value ?? "")];
        }
        catch (YamlException)
        {
        }
        return [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries)];
    }
}
