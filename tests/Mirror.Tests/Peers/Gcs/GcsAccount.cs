using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Mirror.Tests.Peers.Gcs;

/// <summary>A service account: its key, the tokens that it got, and the addresses that it signed.</summary>
internal sealed class GcsAccount : IDisposable
{
    public const string Email = "mirror@project.iam.gserviceaccount.com";

    private const string GoogleTokenUrl = "https://oauth2.googleapis.com/token";

    private static readonly TimeSpan MaxDifference = TimeSpan.FromMinutes(5);

    private readonly RSA _key = RSA.Create(2048);
    private readonly ConcurrentDictionary<string, DateTimeOffset> _tokens = new();

    /// <summary>The lifetime that tokens get.</summary>
    public TimeSpan Lifetime { get; set; } = TimeSpan.FromHours(1);

    /// <summary>How far the clock of the token service is ahead of that of this machine.</summary>
    public TimeSpan ClockDifference { get; set; }

    /// <summary>The content of the account's key file.</summary>
    public string KeyFile(Uri tokenUrl) => new JsonObject
    {
        ["type"] = "service_account",
        ["project_id"] = "project",
        ["private_key_id"] = "0123456789abcdef0123456789abcdef01234567",
        ["private_key"] = _key.ExportPkcs8PrivateKeyPem() + "\n",
        ["client_email"] = Email,
        ["client_id"] = "123456789012345678901",
        ["auth_uri"] = "https://accounts.google.com/o/oauth2/auth",
        ["token_uri"] = tokenUrl.OriginalString,
        ["auth_provider_x509_cert_url"] = "https://www.googleapis.com/oauth2/v1/certs",
        ["client_x509_cert_url"] = "https://www.googleapis.com/robot/v1/metadata/x509/mirror",
        ["universe_domain"] = "googleapis.com",
    }.ToJsonString();

    /// <summary>From now on no token that was given is accepted.</summary>
    public void RevokeTokens() => _tokens.Clear();

    /// <summary>Whether the request carries a token that was given, or a JWT that the account signed instead of one.</summary>
    public bool Accepts(string authorization) =>
        authorization.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
        && ((_tokens.TryGetValue(authorization[7..], out var expires) && expires > DateTimeOffset.UtcNow)
            || IsSigned(authorization[7..], tokenUrl: null));

    public JsonObject NewToken()
    {
        var token = $"ya29.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(24))}";
        _tokens[token] = DateTimeOffset.UtcNow + Lifetime;
        return new() { ["access_token"] = token, ["expires_in"] = (int)Lifetime.TotalSeconds, ["token_type"] = "Bearer" };
    }

    /// <summary>A token for a JWT that the account signed.</summary>
    public async Task AnswerTokenAsync(HttpContext context, Uri tokenUrl)
    {
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        var assertion = form["assertion"].ToString();
        var isSigned = form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer" && IsSigned(assertion, tokenUrl);
        if (!isSigned || ClockDifference.Duration() > MaxDifference)
        {
            context.Response.StatusCode = 400;
            await context.Response.WriteAsJsonAsync(new JsonObject
            {
                ["error"] = "invalid_grant",
                ["error_description"] = !isSigned ? "Invalid JWT Signature."
                    : "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                        + "Check your iat and exp values in the JWT claim.",
            });
            return;
        }
        await context.Response.WriteAsJsonAsync(NewToken());
    }

    /// <summary>Whether the query signs a request for this path, in Google's version 2 or 4.</summary>
    /// <param name="path">The path as the client sent it.</param>
    public bool IsSignedAddress(HttpRequest request, string path)
    {
        var query = request.Query;
        // An address that was signed for a GET is valid for a HEAD.
        string[] methods = HttpMethods.IsHead(request.Method) ? ["HEAD", "GET"] : [request.Method];
        if (query["GoogleAccessId"] == Email && long.TryParse(query["Expires"], CultureInfo.InvariantCulture, out var expires))
        {
            var signature = Convert.FromBase64String(query["Signature"].ToString());
            return DateTimeOffset.FromUnixTimeSeconds(expires) > DateTimeOffset.UtcNow
                && methods.Any(method => Verify($"{method}\n\n\n{expires}\n{path}", signature));
        }
        if (query["X-Goog-Algorithm"] != "GOOG4-RSA-SHA256"
            || query["X-Goog-Credential"].ToString().Split('/', 2) is not [Email, var scope])
            return false;
        var time = query["X-Goog-Date"].ToString();
        var begins = DateTimeOffset.ParseExact(time, "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        var ends = begins.AddSeconds(int.Parse(query["X-Goog-Expires"].ToString(), CultureInfo.InvariantCulture));
        var names = query["X-Goog-SignedHeaders"].ToString();
        var signed = string.Join('&', query
            .Where(pair => pair.Key != "X-Goog-Signature")
            .Select(pair => $"{Uri.EscapeDataString(pair.Key)}={Uri.EscapeDataString(pair.Value.ToString())}")
            .Order(StringComparer.Ordinal));
        // Google's signer leaves out the port, which Google's own address does not have.
        string[] hosts = [request.Host.Value!, request.Host.Host];
        return ends > DateTimeOffset.UtcNow && methods.Any(method => hosts.Any(host =>
        {
            var headers = string.Concat(names.Split(';').Select(
                name => $"{name}:{(name == "host" ? host : request.Headers[name].ToString().Trim())}\n"));
            var canonical = $"{method}\n{path}\n{signed}\n{headers}\n{names}\nUNSIGNED-PAYLOAD";
            var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)));
            return Verify($"GOOG4-RSA-SHA256\n{time}\n{scope}\n{hash}", Convert.FromHexString(query["X-Goog-Signature"].ToString()));
        }));
    }

    public void Dispose() => _key.Dispose();

    private bool IsSigned(string jwt, Uri? tokenUrl)
    {
        if (jwt.Split('.') is not [var header, var claims, var signature]
            || !Verify($"{header}.{claims}", System.Buffers.Text.Base64Url.DecodeFromChars(signature)))
            return false;
        var said = JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(claims))!;
        // Google's own client for .NET always names Google's token service, wherever it sends the request.
        return (string?)said["iss"] == Email
            && (tokenUrl is null || (string?)said["aud"] is GoogleTokenUrl || (string?)said["aud"] == tokenUrl.OriginalString)
            && DateTimeOffset.FromUnixTimeSeconds((long)said["exp"]!) > DateTimeOffset.UtcNow;
    }

    private bool Verify(string text, byte[] signature) =>
        _key.VerifyData(Encoding.UTF8.GetBytes(text), signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
}
