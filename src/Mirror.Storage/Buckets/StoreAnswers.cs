using System.Net;

namespace Mirror.Storage.Buckets;

/// <summary>
/// Notes the date of each answer of a store. Refuses a page of HTML that something in front of the store sent in its place, such as a page
/// for maintenance or the 404 of an ingress: it would be taken for an object, or for the answer that there is none.
/// </summary>
internal sealed class StoreAnswers(StoreClock clock, HttpMessageHandler connections) : DelegatingHandler(connections)
{
    // How the headers begin that the services put into their answers. Swift, Glance and Google send errors as HTML, too.
    private static readonly string[] Marks =
    [
        "x-amz", "x-oss-", "x-minio-", "x-rgw-", "x-ms-", "x-goog-", "x-guploader-", "x-trans-id", "x-timestamp", "x-openstack-",
    ];

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var answer = await base.SendAsync(request, cancellationToken);
        if (!IsStranger(answer))
        {
            clock.Note(answer);
            return answer;
        }
        answer.Dispose();
        throw new HttpRequestException(
            $"{request.RequestUri?.Authority} answers {(int)answer.StatusCode} with a page of HTML, which is not the store's: "
            + "see what is in front of the store, or change the address");
    }

    // Other failures say by their status that they are no answer about an object.
    private static bool IsStranger(HttpResponseMessage answer) =>
        (answer.IsSuccessStatusCode || answer.StatusCode is HttpStatusCode.NotFound)
        && MediaTypes.Of(answer.Content.Headers.ContentType?.MediaType ?? "") == "text/html"
        && !answer.Headers.Any(header => Marks.Any(mark => header.Key.StartsWith(mark, StringComparison.OrdinalIgnoreCase)));
}
