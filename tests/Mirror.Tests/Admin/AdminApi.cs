using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Admin;

/// <summary>The API of the administrator, as the holder of the token in the storage folder uses it.</summary>
internal static class AdminApi
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    extension(MirrorProcess mirror)
    {
        /// <summary>The file with the token.</summary>
        public string TokenFile => Path.Combine(mirror.Root, "mirror", "admin-token");

        /// <summary>The <c>Authorization</c> header of the administrator.</summary>
        public string AdminLogin => $"Bearer {File.ReadAllText(mirror.TokenFile).Trim()}";

        /// <summary>Sends a request to the API on <c>http.debug.addr</c>.</summary>
        public Task<HttpResponseMessage> AskAdminAsync(HttpMethod method, string path, object? body = null) =>
            SendAsync(mirror.Debug, method, path, mirror.AdminLogin, body);

        /// <summary>The document at a path of the API.</summary>
        public async Task<JsonElement> AdminAsync(string path)
        {
            using var response = await mirror.AskAdminAsync(HttpMethod.Get, path);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            return await response.Content.ReadFromJsonAsync<JsonElement>(Cancel);
        }

        /// <summary>The answer to a document that is posted to the API.</summary>
        public async Task<JsonElement> PostAdminAsync(string path, object body)
        {
            using var response = await mirror.AskAdminAsync(HttpMethod.Post, path, body);
            Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Cancel));
            return await response.Content.ReadFromJsonAsync<JsonElement>(Cancel);
        }

        /// <summary>Waits until the list of images is as it should be, and returns it. The server reads its store in the
        /// background.</summary>
        public async Task<JsonElement[]> ImagesAsync(Predicate<JsonElement[]> isIt, string query = "")
        {
            JsonElement[] images = [];
            await Until.TrueAsync(
                async () =>
                {
                    var page = await mirror.AdminAsync($"images{query}");
                    images = [.. page.GetProperty("images").EnumerateArray()];
                    return page.GetProperty("complete").GetBoolean() && isIt(images);
                },
                () => string.Join('\n', images));
            return images;
        }

        /// <summary>Runs a verb that speaks to this server.</summary>
        public async Task<(int Code, string Output)> VerbAsync(params string[] verb)
        {
            await using var process = PeerProcess.Start("dotnet", [MirrorProcess.Program, .. verb, "--config", mirror.ConfigFile]);
            return (await process.ExitCodeAsync(), process.Output);
        }

        /// <summary>Pulls an image as clients do: the manifest by its tag, then its content.</summary>
        public async Task PullAsync(string repository, string tag, params IEnumerable<Storage.Digest> blobs)
        {
            using (var manifest = await mirror.GetAsync($"{repository}/manifests/{tag}"))
                Assert.Equal(HttpStatusCode.OK, manifest.StatusCode);
            foreach (var blob in blobs)
            {
                using (var response = await mirror.GetAsync($"{repository}/blobs/{blob}"))
                {
                    Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                    await response.Content.ReadAsByteArrayAsync(Cancel);
                }
                await mirror.UntilStoredAsync($"{repository}/blobs/{blob}");
            }
        }
    }

    /// <summary>Sends a request to the API.</summary>
    /// <param name="login">The <c>Authorization</c> header; null for none.</param>
    internal static async Task<HttpResponseMessage> SendAsync(
        Uri server, HttpMethod method, string path, string? login, object? body = null)
    {
        using var request = new HttpRequestMessage(method, new Uri(server, $"/mirror/v1/{path}"));
        if (login is not null)
            request.Headers.TryAddWithoutValidation("Authorization", login);
        if (body is not null)
            request.Content = JsonContent.Create(body);
        return await Http.Client.SendAsync(request, Cancel);
    }
}
