using System.Buffers;
using YamlDotNet.RepresentationModel;

namespace Mirror.Configuration.Old;

/// <summary>The keys <c>cors.*</c>: headers that let a page of another host read the answers. They become <c>http.headers</c>, which the
/// answer to a browser's question beforehand (OPTIONS) has too.</summary>
internal static class OldCors
{
    private const string Everyone = "*";

    private static readonly SearchValues<char> PatternCharacters = SearchValues.Create(@"*[](){}^$\|?+");

    private static readonly string[] DefaultMethods = ["GET", "HEAD", "POST", "OPTIONS", "PUT"];

    public static void Translate(OldSettings old)
    {
        if (old.List("cors.origins") is not [var origin, ..] origins)
        {
            old.SayOfAll("cors.", OldKeyFate.WithoutEffect, "cors.origins names no page");
            return;
        }
        var withCredentials = old.Flag("cors.supports_credentials") == true;
        var isPattern = origin is not Everyone && origin.AsSpan().ContainsAny(PatternCharacters);
        if (origins.Count > 1 || isPattern || origin is Everyone && withCredentials)
        {
            old.Say("cors.origins", OldKeyFate.NotDone, origin is Everyone
                ? "pages of every host must not use a user's login; name one host, or set cors.supports_credentials: false"
                : "one host, or *, can be answered; name one host here, or let a proxy in front add the headers");
            old.SayOfAll("cors.", OldKeyFate.WithoutEffect, "cors.origins is not done");
            return;
        }
        Take("origins", "Access-Control-Allow-Origin", origin);
        // A cache must not give the answer for one page to another.
        if (origin is not Everyone && old.Flag("cors.vary_header") != false)
            Header("Vary", "Origin");
        Header("Access-Control-Allow-Methods", string.Join(", ", DefaultMethods));
        Header("Access-Control-Allow-Headers", "Content-Type");
        Take("methods", "Access-Control-Allow-Methods", string.Join(", ", old.List("cors.methods")));
        Take("headers", "Access-Control-Allow-Headers", string.Join(", ", old.List("cors.headers")));
        Take("expose_headers", "Access-Control-Expose-Headers", string.Join(", ", old.List("cors.expose_headers")));
        Take("max_age", "Access-Control-Max-Age", old["cors.max_age"] ?? "");
        if (withCredentials)
            Take("supports_credentials", "Access-Control-Allow-Credentials", "true");
        old.Say("cors.vary_header", OldKeyFate.Taken, "http.headers, Vary");
        old.Say("cors.always_send", OldKeyFate.WithoutEffect, "the headers are sent always");
        old.Say("cors.automatic_options", OldKeyFate.WithoutEffect, "OPTIONS is answered always");
        old.SayOfAll("cors.resources", OldKeyFate.WithoutEffect, "the headers are sent for every path");
        old.SayOfAll("cors.", OldKeyFate.WithoutEffect, "it has its default");

        void Take(string key, string header, string value)
        {
            if (!old.Has($"cors.{key}"))
                return;
            Header(header, value);
            old.Say($"cors.{key}", OldKeyFate.Taken, $"http.headers, {header}");
        }

        void Header(string name, string value) => old.Set($"http.headers.{name}", new YamlSequenceNode(new YamlScalarNode(value)));
    }
}
